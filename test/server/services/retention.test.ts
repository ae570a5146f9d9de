import t from "tap";
import { brokenInvariants } from "../../helpers/invariants.js";
import { deployFlow, flowState, TestAgent, taskState } from "../../helpers/server.js";
import { bed, DAY, HOUR, MINUTE, SECOND } from "./bed.js";

const TABLES = ["flow_run", "flow_run_state", "task_run", "task_run_state", "log"];

async function finished(t: Parameters<typeof bed>[0], services: Parameters<typeof bed>[1], runs = 3) {
  const { cloud, clock } = await bed(t, services);
  const { flowId } = await deployFlow(cloud);
  const agent = await TestAgent.register(cloud);
  for (let count = 0; count < runs; count++) {
    await cloud.call("create_flow_run", { flow_id: flowId });
    const run = await agent.claimOne();
    await agent.report(run, [flowState("Running"), taskState(run, "a-1", "Running", 1), flowState("Success")]);
    const logs = [{ flow_run_id: run.flow_run_id, message: "hello" }];
    await cloud.call("write_run_logs", { logs });
  }
  const counts = async () => {
    const found: Record<string, number> = {};
    for (const table of TABLES) {
      const [row] = await cloud.rows<{ n: number }>(`SELECT count(*) AS n FROM ${table}`);
      found[table] = Number(row?.n);
    }
    return found;
  };
  return { cloud, clock, agent, flowId, counts };
}

t.test("runs are kept for ever unless it is said for how long", async (t) => {
  const { cloud, clock, counts } = await finished(t, {});
  const before = await counts();
  clock.forward(1_000 * DAY);
  await cloud.server.tick();
  t.strictSame(await counts(), before);
});

t.test("runs that ended so many days ago go, with everything that is theirs; the others stay", async (t) => {
  const { cloud, clock, counts, flowId } = await finished(t, { retention: { runsDays: 30 } });
  await cloud.call("create_flow_run", { flow_id: flowId });
  await cloud.server.tick();
  // The end that their agent gave them is a second later than their beginning.
  clock.forward(30 * DAY);
  await cloud.server.tick();
  t.equal((await counts()).flow_run, 4, "not a day early");
  clock.forward(HOUR);
  await cloud.server.tick();
  const left = await counts();
  t.match(left, { flow_run: 1, flow_run_state: 1, task_run: 3, task_run_state: 3 });
  t.match(await cloud.rows("SELECT state FROM flow_run"), [{ state: "Scheduled" }], "it waits, and is not over");
  t.match(await cloud.rows("SELECT DISTINCT name FROM log"), [{ name: "millrace.late" }]);
  t.strictSame(await brokenInvariants(cloud), []);
});

t.test("a run with thousands of rows goes piece by piece, and writers get in between", async (t) => {
  const { cloud, clock, counts, agent } = await finished(t, { retention: { runsDays: 1 } }, 1);
  const [run] = await cloud.rows<{ id: string }>("SELECT id FROM flow_run");
  const line = { flow_run_id: run!.id, message: "x" };
  for (let count = 0; count < 3; count++) {
    await cloud.call("write_run_logs", { logs: Array.from({ length: 1_000 }, () => line) });
  }
  clock.forward(2 * DAY);
  let longest = 0;
  let done = false;
  const writes = (async () => {
    while (!done) {
      const begun = performance.now();
      await agent.renew([]);
      longest = Math.max(longest, performance.now() - begun);
    }
  })();
  await cloud.server.tick();
  done = true;
  await writes;
  t.match(await counts(), { flow_run: 0, task_run: 0, task_run_state: 0, log: 0 });
  t.ok(longest < 1_000, `${longest} ms`);
});

t.test("agents that do not ask any more are forgotten after ninety days, unless they hold a run", async (t) => {
  const { cloud, clock, flowId } = await finished(t, {}, 0);
  const holder = await TestAgent.register(cloud, "holder");
  await TestAgent.register(cloud, "gone");
  await cloud.call("create_flow_run", { flow_id: flowId });
  await holder.claim(1, { lease_ms: DAY });
  await cloud.server.tick();
  clock.forward(90 * DAY);
  await cloud.server.tick();
  t.equal((await cloud.rows("SELECT name FROM agent")).length, 3);
  clock.forward(HOUR);
  await cloud.server.tick();
  t.match(await cloud.rows("SELECT name FROM agent"), [{ name: "holder" }]);
});

t.test("keys go thirty days after they expired, and streams a day after their last report", async (t) => {
  const { cloud, clock } = await finished(t, {}, 1);
  const expires_at = new Date(clock.now() + MINUTE).toISOString();
  await cloud.call("create_api_key", { name: "short", scope: "READ", expires_at });
  const names = async () => (await cloud.rows<{ name: string }>("SELECT name FROM api_key")).map((row) => row.name);
  await cloud.server.tick();
  t.equal((await cloud.rows("SELECT id FROM report_stream")).length, 1);
  clock.forward(DAY + SECOND);
  await cloud.server.tick();
  t.equal((await cloud.rows("SELECT id FROM report_stream")).length, 0);
  clock.forward(29 * DAY);
  await cloud.server.tick();
  t.equal((await names()).length, 2);
  clock.forward(HOUR);
  await cloud.server.tick();
  t.equal((await names()).length, 1);
});
