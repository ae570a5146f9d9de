import { buildSchema, parse, validate } from "graphql";
import t from "tap";
import { documents } from "../../src/client/documents.js";
import { readDocuments } from "../../src/client/read-documents.js";
import { schemaText } from "../../src/server/api/schema.js";
import { readTypeDefs } from "../../src/server/read/read-schema.js";

const schema = buildSchema(`${schemaText}\n${readTypeDefs()}`);

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
