import t from "tap";
import type { ClaimedRun, ReportStatesInput } from "../../src/client/wire.js";
import { newId } from "../../src/core/ids.js";
import { verifyDatabase } from "../../src/db/verify/verify-database.js";
import { seeded } from "../helpers/random.js";
import {
  deployFlow,
  flowState,
  HandClock,
  LEASE_MS,
  letPass,
  Refusal,
  startTestCloud,
  TestAgent,
  taskState,
} from "../helpers/server.js";

const ROUNDS = 60;

/** What an agent reports of a run from its begin to its end, batch by batch, by the versions that it was given. */
function reportsOf(run: ClaimedRun) {
  const at = (slug: string) => run.task_runs.find((each) => each.task_slug === slug)!.version;
  return [
    [flowState("Running"), taskState(run, "a-1", "Running", at("a-1"))],
    [taskState(run, "a-1", "Success", at("a-1") + 1), taskState(run, "b-1", "Running", at("b-1"))],
    [taskState(run, "b-1", "Success", at("b-1") + 1), flowState("Success")],
  ];
}

t.test("reports arrive twice, out of order, and late with an old fence: each is done once, or refused", async (t) => {
  const random = seeded(t);
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const { flowId } = await deployFlow(cloud, { tasks: ["a-1", "b-1"] });
  const agents = [await TestAgent.register(cloud, "one"), await TestAgent.register(cloud, "two")];
  const sent: ReportStatesInput[] = [];
  const said: Record<string, number> = {};
  const count = (what: string) => {
    said[what] = (said[what] ?? 0) + 1;
  };
  const report = async (input: ReportStatesInput) => {
    try {
      const { refused } = await cloud.call("report_states", input);
      count(refused[0]?.code ?? "taken");
      return refused.map(({ code }) => code);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      count(error.code);
      return [error.code];
    }
  };
  for (let round = 0; round < ROUNDS; round++) {
    await cloud.call("create_flow_run", { flow_id: flowId });
    let agent = random.pick(agents);
    let run = await agent.claimOne();
    const losesLease = random.below(4) === 0;
    if (losesLease) {
      const late = run;
      await letPass(cloud, clock, LEASE_MS + 2_000);
      const before = agent;
      agent = random.pick(agents);
      run = await agent.claimOne();
      const runs = [{ flow_run_id: late.flow_run_id, fence: late.fence, states: reportsOf(late)[0]! }];
      const codes = await report({ agent_id: before.id, stream_id: newId(), batch: 1, runs });
      t.strictSame(codes, ["RUN_LEASE_LOST"], "late, under an old fence");
    }
    const stream_id = newId();
    for (const [index, states] of reportsOf(run).entries()) {
      const runs = [{ flow_run_id: run.flow_run_id, fence: run.fence, states }];
      const input = { agent_id: agent.id, stream_id, batch: index + 1, runs };
      t.strictSame(await report(input), [], `round ${round}, batch ${index + 1}`);
      sent.push(input);
      if (random.below(2) === 0) t.strictSame(await report(input), [], "twice: answered as before");
      if (random.below(3) === 0) await report(random.pick(sent));
      if (random.below(5) === 0) await Promise.all([report(random.pick(sent)), report(random.pick(sent))]);
    }
  }
  t.comment(JSON.stringify(said));
  t.strictSame(await verifyDatabase(cloud.server.database, clock.now()), []);
  t.strictSame(await cloud.rows("SELECT state, count(*) AS n FROM flow_run GROUP BY state"), [
    { state: "Success", n: ROUNDS },
  ]);
  const perRun = await cloud.rows<{ n: number }>(
    "SELECT DISTINCT count(*) AS n FROM task_run_state GROUP BY task_run_id",
  );
  t.strictSame(perRun, [{ n: 3 }], "each task run was Pending, Running and Success once");
});
