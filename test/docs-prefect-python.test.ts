import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { tableInfo } from "../src/db/read/describe-tables.js";
import { readScenarios } from "./helpers/protocol-fixtures.js";
import { openReadWorld } from "./helpers/read-world.js";
import { repositoryFolder } from "./helpers/source-tree.js";

const page = readFileSync(join(repositoryFolder, "docs", "prefect-python.md"), "utf8");
const world = await openReadWorld(t.testdir());
t.after(() => world.close());
const { schema } = world;

/** The names in a section's table, by its column. */
function namesOf(section: string): { theirs: string[]; ours: string[] } {
  const text = page.split(`## ${section}\n`)[1]!.split("\n## ")[0]!;
  const rows = text.split("\n").filter((line) => /^\| `/.test(line));
  const names = (cell: string) => [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1]!);
  const cells = rows.map((row) => row.split("|"));
  return { theirs: cells.flatMap((row) => names(row[1]!)), ours: cells.flatMap((row) => names(row[2]!)) };
}

const isOurs = (field: { description?: string | null | undefined }) => field.description?.startsWith("Ours.") === true;

t.test("the page's table of mutations is the schema's", (t) => {
  const fields = schema.getMutationType()!.getFields();
  const theirs = Object.values(fields).filter((field) => !isOurs(field));
  const names = namesOf("Mutations");
  t.same(names.theirs.toSorted(), theirs.map(({ name }) => name).sort());
  for (const name of names.ours) t.ok(fields[name], name);
  const own = Object.values(fields).filter(isOurs);
  for (const { name } of own) t.ok(names.ours.includes(name), `${name} stands beside what it does the work of`);
  t.end();
});

t.test("the page's table of queries is the schema's", (t) => {
  const fields = schema.getQueryType()!.getFields();
  const names = namesOf("Queries");
  for (const name of [...names.theirs, ...names.ours])
    t.ok(fields[name] ?? schema.getMutationType()!.getFields()[name], name);
  const tables = new Map([...tableInfo.values()].map(({ name, table }) => [name, table]));
  // Deliveries are ours; Prefect keeps none.
  const roots = Object.values(fields).filter(
    (field) =>
      !isOurs(field) && !/_by_pk$|_aggregate$/.test(field.name) && tables.get(field.name) !== "cloud_hook_delivery",
  );
  t.same([...new Set(names.theirs)].sort(), roots.map(({ name }) => name).sort());
  t.end();
});

t.test("the page says how many scenarios there are", (t) => {
  t.match(page, `in ${readScenarios().length} scenarios`);
  t.end();
});
