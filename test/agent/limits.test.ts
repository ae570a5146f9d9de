import { join } from "node:path";
import t from "tap";
import { setLimit, whyWaiting } from "../../src/client/limits.js";
import { openDatabase } from "../../src/db/open-database.js";
import { type AgentBed, openAgentBed } from "../helpers/agent-bed.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";
import { databaseAt } from "../helpers/test-database.js";

const home = await temporaryHome(t);

/** How many states a flow run's tasks of a slug went through, and how many were Running at once at most. */
async function history(bed: AgentBed, flowRunId: string) {
  const { task_run } = await bed.cloud.query<{
    task_run: { states: { state: string; timestamp: string; version: number }[] }[];
  }>(
    `query($id: UUID!) { task_run(where: {flow_run_id: {_eq: $id}, map_index: {_gte: 0}}) { states { state timestamp version } } }`,
    { id: flowRunId },
  );
  const moments = task_run.flatMap(({ states }) =>
    states.flatMap(({ state, timestamp }) =>
      state === "Running" ? [{ timestamp, by: 1 }] : state === "Success" ? [{ timestamp, by: -1 }] : [],
    ),
  );
  moments.sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : a.by - b.by));
  let [now, most] = [0, 0];
  for (const { by } of moments) {
    now += by;
    most = Math.max(most, now);
  }
  const queued = task_run.flatMap(({ states }) => states.filter(({ state }) => state === "Queued")).length;
  return { children: task_run.length, most, queued, states: task_run.flatMap(({ states }) => states).length };
}

t.test("1,000 children of a mapped task under a limit of 5 run 5 at a time, and each asks twice at most", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("asks-database");
  await setLimit(bed.cloud, "task-tag", "database", 5);
  const run = await bed.create("asks-database", { count: 1_000 });
  const startedAt = performance.now();
  await bed.agent().start();
  t.equal((await bed.reached(run)).state, "Success");
  t.comment(`${Math.round(performance.now() - startedAt)} ms`);
  const { children, most, queued } = await history(bed, run);
  t.equal(children, 1_000);
  t.ok(most <= 5, `${most} at once`);
  t.ok(queued <= 1_000, `${queued} were Queued`);
});

t.test("tasks that wait hold up no others; two agents share a limit; one that dies gives its slots up", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("asks-database");
  await setLimit(bed.cloud, "task-tag", "database", 0);
  const [first, second] = [await bed.create("asks-database"), await bed.create("asks-database")];
  await bed.agent({ name: "one", threads: 1 }).start();
  await bed.agent({ name: "two", threads: 1 }).start();
  const waiting = async (run: string) =>
    (await bed.taskRuns(run)).filter(({ state, mapIndex }) => state === "Queued" && mapIndex >= 0).length === 10;
  for (const run of [first, second]) {
    await eventually(async () => waiting(run));
    const beside = (await bed.taskRuns(run)).find(({ taskSlug }) => taskSlug === "beside-1");
    t.equal(beside?.state, "Success", "a task without the tag is not held up");
  }
  const { reasons } = await whyWaiting(bed.cloud, first);
  t.match(reasons[0], { code: "TASK_TAG_LIMIT", fix: "millrace limit task-tag database 1" });
  await setLimit(bed.cloud, "task-tag", "database", 2);
  for (const run of [first, second]) t.equal((await bed.reached(run)).state, "Success");
});

t.test(
  "a run whose tasks all wait for slots gives its thread to others, and comes back when there is one",
  async (t) => {
    const bed = await openAgentBed(t, home);
    await bed.deploy("asks-database");
    await bed.deploy("hello");
    await setLimit(bed.cloud, "task-tag", "database", 0);
    const run = await bed.create("asks-database");
    await bed.agent({ threads: 1 }).start();
    await eventually(async () => (await bed.taskRuns(run)).some(({ state }) => state === "Queued"));
    const other = await bed.create("hello");
    t.equal((await bed.reached(other)).state, "Success", "on the one thread that there is");
    t.equal((await bed.flowRun(run)).state, "Running");
    await setLimit(bed.cloud, "task-tag", "database", 3);
    t.equal((await bed.reached(run)).state, "Success");
  },
);

t.test("no slot is left when all is over", async (t) => {
  const bed = await openAgentBed(t, home, { killable: true });
  await bed.deploy("asks-database");
  await setLimit(bed.cloud, "task-tag", "database", 3);
  const runs = await Promise.all([20, 30, 40].map((count) => bed.create("asks-database", { count })));
  const agent = bed.agent({ leaseMs: 1_000 });
  await agent.start();
  await eventually(async () => (await bed.taskRuns(runs[0]!)).some(({ state }) => state === "Success"));
  await bed.killServer();
  await bed.restartServer();
  for (const run of runs) t.equal((await bed.reached(run)).state, "Success");
  const database = await openDatabase(await databaseAt(t, join(home, "agent-bed-4.db")));
  t.teardown(() => database.close());
  t.same(await database.all("SELECT * FROM concurrency_slot"), []);
  t.same(await database.all("SELECT * FROM slot_request"), []);
});
