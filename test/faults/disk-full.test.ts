import { join } from "node:path";
import t, { type Test } from "tap";
import { verifyDatabase } from "../../src/db/verify/verify-database.js";
import { eventually } from "../helpers/eventually.js";
import { openFaultBed } from "../helpers/fault-bed.js";
import { temporaryHome } from "../helpers/home.js";
import { seeded } from "../helpers/random.js";
import { deployFlow, refusalOf, startTestCloud, type TestCloud } from "../helpers/server.js";
import { type SmallDisk, smallDisk } from "../helpers/small-disk.js";
import { postgresUrl } from "../helpers/test-database.js";

const ROUNDS = 3;
const KB = 1024;
await temporaryHome(t);
t.setTimeout(120_000);
const onSqlite = { skip: postgresUrl !== undefined && "this is about SQLite" };

/** Asks for runs until there is one that cannot be made. */
async function untilRefused(cloud: TestCloud, flow_id: string, made: string[]) {
  for (let asked = 0; asked < 50_000; asked++) {
    const call = cloud.call("create_flow_run", { flow_id });
    const id = await call.then(
      (answer) => answer.id,
      () => null,
    );
    if (id === null) return refusalOf(call);
    made.push(id);
  }
  throw new Error("The disk was never full.");
}

t.test(
  "a database that may not grow: a clear error, nothing is lost, and it goes on with more room",
  onSqlite,
  async (t) => {
    const cloud = await startTestCloud(t);
    const { flowId } = await deployFlow(cloud);
    const made: string[] = [];
    for (let round = 1; round <= ROUNDS; round++) {
      const [pages] = await cloud.rows<{ page_count: number }>("PRAGMA page_count");
      // SQLite answers SQLITE_FULL when the file would have more.
      await cloud.server.database.write((transaction) =>
        transaction.all(`PRAGMA max_page_count = ${pages!.page_count + 20 * round}`),
      );
      const refused = await untilRefused(cloud, flowId, made);
      t.equal(refused.code, "DATABASE_FAILED", refused.message);
      t.match(refused.message, "The Cloud's database cannot be used now");
      const why = cloud.log.map(({ error }) => String(error)).filter((text) => text.includes("the disk is full"));
      t.ok(why.length > 0, "and the server's log says why");
      t.match(await cloud.ask("{ hello }"), { status: 200 }, "who only reads is answered");
      await cloud.server.database.write((transaction) => transaction.all("PRAGMA max_page_count = 4294967294"));
      made.push((await cloud.call("create_flow_run", { flow_id: flowId })).id);
    }
    const known = new Set((await cloud.rows<{ id: string }>("SELECT id FROM flow_run")).map(({ id }) => id));
    t.strictSame(
      made.filter((id) => !known.has(id)),
      [],
    );
    t.equal(known.size, made.length, "what was refused is not there");
    t.strictSame(await verifyDatabase(cloud.server.database, Date.now()), []);
  },
);

t.test(
  "a full disk under load from 4 agents: they wait, and every run ends in Success when there is room",
  onSqlite,
  async (t) => {
    const disk = smallDisk(t, 24);
    if (disk === undefined) return t.comment("skipped: this user may not mount a file system");
    await underLoad(t, disk);
  },
);

async function underLoad(t: Test, disk: SmallDisk): Promise<void> {
  const random = seeded(t);
  const bed = await openFaultBed(t, { database: join(disk.folder, "millrace.db") });
  for (let round = 1; round <= ROUNDS; round++) {
    await bed.progress(20 + random.below(60));
    disk.fill(random.below(64 * KB));
    const before = bed.ledger.refusedByDatabase;
    await eventually(() => bed.ledger.refusedByDatabase > before, {
      timeoutMs: 30_000,
      message: "a full disk to be met",
    });
    disk.makeRoom();
    const { violations, missing } = await bed.account();
    t.strictSame({ violations, missing }, { violations: [], missing: [] }, `round ${round}`);
  }
  const { violations, missing, unfinished, flowRuns, states } = await bed.settle();
  t.comment(
    `${ROUNDS} full disks, ${flowRuns} runs, ${states} states, ${bed.ledger.refusedByDatabase} refused requests`,
  );
  t.strictSame({ violations, missing, unfinished }, { violations: [], missing: [], unfinished: [] });
  t.equal(flowRuns, bed.ledger.created.size, "there is one run for each key");
}
