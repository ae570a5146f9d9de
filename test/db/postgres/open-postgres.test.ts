import { tmpdir } from "node:os";
import t from "tap";
import { migrations } from "../../../src/db/migrate.js";
import { openDatabase } from "../../../src/db/open-database.js";
import { loadPg } from "../../../src/db/postgres/load-pg.js";
import { readAddress, withoutPassword } from "../../../src/db/postgres/postgres-address.js";
import { migratePostgres } from "../../../src/db/postgres/postgres-migrate.js";
import { valueTypes } from "../../../src/db/postgres/postgres-values.js";
import { openToVerify } from "../../../src/db/verify/open-to-verify.js";
import { makeBareDatabase, needsPostgres, postgresUrl } from "../../helpers/test-database.js";

t.test("a place is shown without its password", async (t) => {
  const cases: [place: string, shown: string][] = [
    ["./millrace.db", "./millrace.db"],
    ["postgres://me:secret@db:5433/cloud", "postgres://me@db:5433/cloud"],
    ["postgresql://me:p@ss@db/cloud?sslmode=require", "postgresql://me@db/cloud?sslmode=require"],
    ["postgres://me@db/cloud?password=secret&pool=5", "postgres://me@db/cloud?pool=5"],
    ["postgres://db/cloud", "postgres://db/cloud"],
  ];
  for (const [place, shown] of cases) t.equal(withoutPassword(place), shown);
});

t.test("the words of a URL that are ours are read, and not passed on", async (t) => {
  t.match(readAddress("postgres://me:x@db/cloud?schema=team_a&pool=7&sslmode=disable"), {
    connectionString: "postgres://me:x@db/cloud?sslmode=disable",
    name: "postgres://me@db/cloud?sslmode=disable",
    schema: "team_a",
    poolSize: 7,
  });
  t.match(readAddress("postgres://db/cloud"), {
    connectionString: "postgres://db/cloud",
    schema: "millrace",
    poolSize: 10,
  });
  for (const words of ["schema=A", "schema=x%22y", "schema=pg_x", "schema=", "pool=1", "pool=x", "pool=9999"]) {
    t.throws(
      () => readAddress(`postgres://me:secret@db/cloud?${words}`),
      { code: "DATABASE_FAILED", hint: /\w/ },
      words,
    );
  }
});

t.test("without the package pg it is said what to install", async (t) => {
  const missing = async () => {
    throw Object.assign(new Error("Cannot find package 'pg' imported from here"), { code: "ERR_MODULE_NOT_FOUND" });
  };
  // Outside of this project, which has the package.
  await t.rejects(loadPg(missing, tmpdir()), { code: "DATABASE_PACKAGE_MISSING", hint: /npm install pg/ });
  const broken = async () => {
    throw new Error("half installed");
  };
  await t.rejects(loadPg(broken, tmpdir()), { code: "DATABASE_PACKAGE_MISSING", message: /half installed/ });
});

t.test("a URL that cannot be read is DATABASE_FAILED, and nothing of it is shown", async (t) => {
  for (const url of ["postgres://me:secret", "postgres://me:secret@db:port/x", "postgres://me:se/cret#@db/x"]) {
    for (const opened of [openDatabase(url), openToVerify(url)]) {
      await t.rejects(
        opened,
        { code: "DATABASE_FAILED", message: /^The URL of the [^:]+ be read\.$/, hint: /%40/ },
        url,
      );
    }
  }
});

t.test("no server there is DATABASE_FAILED, at once, and without the password", async (t) => {
  const refused = openDatabase("postgres://me:secret@127.0.0.1:1/cloud");
  await t.rejects(refused, {
    code: "DATABASE_FAILED",
    message: /^The database "postgres:\/\/me@127\.0\.0\.1:1\/cloud" cannot be reached: .*ECONNREFUSED/,
    hint: /Check that Postgres runs there/,
  });
  await refused.catch((error: Error) => t.notMatch(error.stack ?? "", /secret/));
});

t.test("opening a Postgres database", needsPostgres, async (t) => {
  const bare = () => makeBareDatabase(t, t.testdirName + Math.random());
  const connect = async (url: string) => {
    const { Client } = await loadPg();
    const client = new Client({ connectionString: url, types: valueTypes });
    await client.connect();
    await client.query("SET search_path = millrace");
    return client;
  };

  await t.test("no such database is DATABASE_FAILED and says so", async (t) => {
    const url = new URL(postgresUrl!);
    url.pathname = "/there_is_none";
    await t.rejects(openDatabase(url.href), { code: "DATABASE_FAILED", message: /has no such database/ });
  });

  await t.test("servers that start at once make the tables once", async (t) => {
    const url = await bare();
    const opened = await Promise.all(Array.from({ length: 5 }, () => openDatabase(url)));
    t.strictSame(await opened[3]!.all("SELECT version FROM schema_version"), [{ version: migrations.length }]);
    await Promise.all(opened.map((database) => database.close()));
  });

  await t.test("each migration can be taken back and done again, and leaves nothing behind", async (t) => {
    const client = await connect(await bare());
    t.teardown(() => client.end());
    const place = { name: "test", schema: "millrace" };
    const shapeOf = async () => {
      const columns = await client.query(
        "SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns WHERE table_schema = 'millrace' ORDER BY 1, 2",
      );
      const indexes = await client.query(
        "SELECT tablename, replace(indexdef, tablename, '') AS def FROM pg_indexes WHERE schemaname = 'millrace' ORDER BY 1, 2",
      );
      // Postgres numbers the name of a key's index when the table before it still has its own.
      return JSON.stringify([columns.rows, indexes.rows]).replaceAll(/_?pkey\d*/g, "pkey");
    };
    await migratePostgres(client, place, 1);
    const shapes = ["", await shapeOf()];
    for (const { version } of migrations.slice(1)) {
      await migratePostgres(client, place, version);
      shapes.push(await shapeOf());
    }
    for (const { version } of migrations.slice(1).toReversed()) {
      await migratePostgres(client, place, version - 1);
      t.equal(await shapeOf(), shapes[version - 1], `down from ${version}`);
    }
    await migratePostgres(client, place, 0);
    await migratePostgres(client, place);
    t.equal(await shapeOf(), shapes.at(-1));
  });

  await t.test("tables that a newer Millrace wrote are DATABASE_TOO_NEW", async (t) => {
    const url = await bare();
    await (await openDatabase(url)).close();
    const client = await connect(url);
    await client.query("UPDATE schema_version SET version = version + 1");
    await client.end();
    await t.rejects(openDatabase(url), {
      code: "DATABASE_TOO_NEW",
      message: /has version \d+, and this Millrace knows/,
    });
  });

  await t.test("another program's tables are left alone, and other schemas do not matter", async (t) => {
    const url = await bare();
    const client = await connect(url);
    t.teardown(() => client.end());
    await client.query("CREATE SCHEMA millrace; CREATE TABLE millrace.invoices (id INT)");
    await t.rejects(openDatabase(url), {
      code: "DATABASE_FAILED",
      message: /belongs to another program/,
      hint: /schema/,
    });
    const beside = await openDatabase(`${url}?schema=flows&pool=2`);
    t.strictSame(await beside.all("SELECT id FROM flow_run"), []);
    await beside.close();
    const { rows } = await client.query(
      "SELECT table_name FROM information_schema.tables WHERE table_schema = 'millrace'",
    );
    t.strictSame(rows, [{ table_name: "invoices" }]);
  });
});
