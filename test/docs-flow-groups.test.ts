import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parse, validate } from "graphql";
import t from "tap";
import { openSqlite } from "../src/db/open-database.js";
import { makeSchema } from "../src/server/api/schema.js";
import { repositoryFolder } from "./helpers/source-tree.js";

const page = readFileSync(join(repositoryFolder, "docs/flow-groups.md"), "utf8");
const database = openSqlite(join(t.testdir(), "millrace.db"));
t.teardown(() => database.close());
const schema = makeSchema(database);

t.test("the page's documents are ones that the Cloud answers", async (t) => {
  const documents = [...page.matchAll(/```graphql\n(.*?)```/gs)].map((found) => found[1]!);
  t.equal(documents.length, 3);
  for (const document of documents) t.strictSame(validate(schema, parse(document)), []);
});

t.test("the mutations that the page names are there", async (t) => {
  const known = new Set(Object.keys(schema.getMutationType()!.getFields()));
  const named = [...page.matchAll(/`((?:set|update|delete|create|register|archive|enable|disable)_[a-z_]+)/g)];
  // An input's field has the name of a mutation.
  for (const [, name] of named) t.ok(known.has(name!), name!);
});
