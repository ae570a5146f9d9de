import { readFileSync } from "node:fs";
import { buildSchema, parse, validate } from "graphql";
import t from "tap";
import { documents } from "../../src/client/documents.js";
import { readDocuments } from "../../src/client/read-documents.js";
import { readTypeDefs } from "../../src/server/read-schema.js";

const file = new URL("../../src/server/schema.graphql", import.meta.url);
const schema = buildSchema(`${readFileSync(file, "utf8")}\n${readTypeDefs()}`);

const texts = [
  ...Object.entries(documents).map(([name, { text }]) => [name, text] as const),
  ...Object.entries(readDocuments),
];
for (const [name, text] of texts) {
  t.test(`the document "${name}" is one that the Cloud's schema takes`, async (t) => {
    const document = parse(text);
    t.same(
      validate(schema, document).map(({ message }) => message),
      [],
    );
    t.equal(document.definitions.length, 1, "one operation, since none is named");
  });
}

t.test("only the making of a key and the resuming of a task are not safe to send twice", async (t) => {
  const once = Object.entries(documents).filter(([, { repeatable }]) => !repeatable);
  t.same(
    once.map(([name]) => name),
    ["resumeTaskRun", "createApiKey"],
  );
});
