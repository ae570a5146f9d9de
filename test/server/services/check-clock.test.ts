import t from "tap";
import type { ServerLogLine } from "../../../src/server/parts.js";
import { startServer } from "../../../src/server/server.js";
import type { startTestCloud } from "../../helpers/server.js";
import { makeDatabase, needsPostgres } from "../../helpers/test-database.js";

const MINUTE = 60_000;

/** What a server logs that starts on a machine whose clock is so far off. */
async function logOfStart(t: Parameters<typeof startTestCloud>[0], database: string, offByMs: number) {
  const { now } = Date;
  Date.now = () => now() + offByMs;
  const log: ServerLogLine[] = [];
  try {
    const server = await startServer({ database, port: 0, log: (line) => log.push(line) });
    t.teardown(() => server.close());
  } finally {
    Date.now = now;
  }
  return log
    .filter(({ message }) => message.startsWith("This server's clock"))
    .map(({ level, message }) => ({ level, message }));
}

t.test("a server whose clock is off beside Postgres' says by how much as it starts", needsPostgres, async (t) => {
  const database = await makeDatabase(t, t.testdirName);
  t.match(await logOfStart(t, database, 5 * MINUTE), [
    {
      level: "error",
      message: /^This server's clock is (300\.\d|299\.\d) s ahead of the database's; no more than 2 s/,
    },
  ]);
  t.match(await logOfStart(t, database, -5 * MINUTE), [{ level: "error", message: /s behind the database's/ }]);
  t.strictSame(await logOfStart(t, database, 0), []);
  t.strictSame(await logOfStart(t, database, 1_000), [], "a second is right");
});

t.test("a SQLite file has no clock to compare with", async (t) => {
  t.strictSame(await logOfStart(t, `${t.testdir()}/millrace.db`, 5 * MINUTE), []);
});
