import { join } from "node:path";
import t from "tap";
import { openSqlite } from "../../src/db/open-database.js";
import { infoOf, tableInfo } from "../../src/db/read/describe-tables.js";

interface TableColumn {
  name: string;
  type: string;
  notnull: number;
  pk: number;
}

const database = openSqlite(join(t.testdir(), "millrace.db"));
t.after(() => database.close());

const storedAs: Record<string, string[]> = {
  uuid: ["TEXT"],
  text: ["TEXT"],
  json: ["TEXT"],
  instant: ["TEXT"],
  int: ["INTEGER"],
  bool: ["INTEGER"],
  rowNumber: ["INTEGER"],
  stateId: ["INTEGER"],
  interval: ["INTEGER", "REAL"],
};

for (const info of tableInfo.values()) {
  t.test(`the description of ${info.table} agrees with the table`, async (t) => {
    const columns = await database.all<TableColumn>(`SELECT * FROM pragma_table_info('${info.table}')`);
    const byName = new Map(columns.map((column) => [column.name, column]));
    for (const described of info.columns.values()) {
      if (described.absent) {
        t.notOk(byName.has(described.column), `${described.name} is not there`);
        continue;
      }
      const column = byName.get(described.column);
      t.ok(column, `${described.name} is there`);
      t.ok(storedAs[described.kind]!.includes(column!.type), `${described.name} is stored as ${column!.type}`);
      t.equal(
        described.nullable,
        column!.notnull === 0 && column!.pk === 0,
        `${described.name} says whether it may be null`,
      );
    }
    const key = columns.filter(({ pk }) => pk > 0).sort((a, b) => a.pk - b.pk);
    t.same(
      info.key,
      key.map(({ name }) => name),
    );
    t.ok(byName.has(info.tenant), "the tenant's column");
    for (const { here, there, to, shared, nullable, many, name } of info.relations.values()) {
      t.ok(byName.has(here), `${name} starts at a column`);
      const others = await database.all<TableColumn>(`SELECT * FROM pragma_table_info('${to}')`);
      t.ok(
        others.some((column) => column.name === there),
        `${name} ends at one`,
      );
      if (shared) t.ok(byName.has(shared) && others.some((column) => column.name === shared), `both have ${shared}`);
      // One whose column is never null may still be missing, where no foreign key holds it.
      if (!many && !nullable) t.ok(byName.get(here)!.notnull === 1 || here === "id", `${name} is never missing`);
    }
  });
}

t.test("no column that tells a secret is described", async (t) => {
  for (const info of tableInfo.values()) {
    for (const { column } of info.columns.values()) t.notMatch(column, /hash|secret|token|password/);
  }
  t.throws(() => infoOf("report_stream" as never).columns, "nor the table of answers that were given");
});
