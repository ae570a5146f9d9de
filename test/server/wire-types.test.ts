import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { wireTypes } from "../../scripts/generate-wire-types.js";
import { schemaText } from "../../src/server/api/schema.js";
import { repositoryFolder } from "../helpers/source-tree.js";

t.test("client/wire.ts is what the schema says; `npm run generate` makes it so", async (t) => {
  t.equal(readFileSync(join(repositoryFolder, "src/client/wire.ts"), "utf8"), wireTypes(schemaText));
});

t.test("nullable, list and input types come out as TypeScript has them", async (t) => {
  const text = wireTypes(`
    scalar JSON
    type Query { "Greets." greet(name: String!, times: Int): thing, plain: Boolean! }
    "A thing." type thing { ids: [ID!]!, holes: [Int], any: JSON, at: DateTime }
    input ask_input { a: String! b: [ask_input!] c: JSON! d: Int! = 3 }
  `);
  for (const line of [
    "greet: { arguments: { name: string; times?: number | null }; payload: Thing | null };",
    "plain: { arguments: Record<string, never>; payload: boolean };",
    "/** A thing. */\nexport interface Thing {",
    "ids: string[];",
    "holes: (number | null)[] | null;",
    "any: unknown;",
    "at: string | null;",
    "b?: AskInput[] | null;",
    "c: unknown;",
    "d?: number;",
  ]) {
    t.ok(text.includes(line), line);
  }
});
