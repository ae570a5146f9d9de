import t from "tap";
import { brokenInvariants } from "../../helpers/invariants.js";
import { deployFlow, flowRunRow, flowState, LEASE_MS, letPass, TestAgent } from "../../helpers/server.js";
import { autoRuns, bed, deployScheduled, downFor, everyMinutes, HOUR, MINUTE, SECOND } from "./bed.js";

async function held(t: Parameters<typeof bed>[0]) {
  const { cloud, clock } = await bed(t);
  const pass = (ms: number) => letPass(cloud, clock, ms);
  const { flowId } = await deployFlow(cloud);
  const [alive, dead] = [await TestAgent.register(cloud, "alive"), await TestAgent.register(cloud, "dead")];
  const claim = async (agent: TestAgent) => {
    await cloud.call("create_flow_run", { flow_id: flowId });
    const run = await agent.claimOne();
    await agent.report(run, [flowState("Running")]);
    return run;
  };
  const runs = { alive: await claim(alive), dead: await claim(dead) };
  const stateOf = async (who: "alive" | "dead") => (await flowRunRow(cloud, runs[who].flow_run_id)).state;
  await pass(10 * SECOND);
  await alive.renew([runs.alive]);
  await dead.renew([runs.dead]);
  return { cloud, clock, pass, alive, runs, stateOf };
}

for (const [how, ms] of [
  ["forward", HOUR],
  ["back", -HOUR],
] as const) {
  t.test(
    `a clock put ${how} by an hour: who renews keeps its run, who does not loses it in a lease's time`,
    async (t) => {
      const { cloud, clock, pass, alive, runs, stateOf } = await held(t);
      clock.step(ms);
      for (let renewals = 0; renewals < 2; renewals++) {
        await pass(LEASE_MS / 2 - SECOND);
        t.strictSame([await stateOf("alive"), await stateOf("dead")], ["Running", "Running"]);
        t.strictSame((await alive.renew([runs.alive])).lost, []);
      }
      await pass(3 * SECOND);
      t.strictSame([await stateOf("alive"), await stateOf("dead")], ["Running", "Scheduled"]);
      t.match(await flowRunRow(cloud, runs.dead.flow_run_id), { times_resurrected: 1 });
      t.strictSame(await brokenInvariants(cloud), []);
    },
  );
}

t.test("so it is when the clock was put back while the server was down", async (t) => {
  const { cloud, clock, runs } = await held(t);
  clock.step(-HOUR);
  const again = await downFor(t, { cloud, clock, ms: 0 });
  await letPass(again, clock, LEASE_MS - SECOND);
  t.match(await flowRunRow(again, runs.dead.flow_run_id), { state: "Running" });
  await letPass(again, clock, SECOND);
  t.match(await flowRunRow(again, runs.dead.flow_run_id), { state: "Scheduled" });
});

t.test("heartbeats of Python runs: a step forward kills none, a step back keeps no dead one for an hour", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  const { flowId } = await deployFlow(cloud, { ours: false });
  const start = async () => {
    const { id } = await cloud.call("create_flow_run", { flow_id: flowId });
    for (const type of ["Submitted", "Running"]) {
      await cloud.call("set_flow_run_states", { states: [{ flow_run_id: id, state: { type } }] });
    }
    return id;
  };
  const stateOf = async (id: string) => (await flowRunRow(cloud, id)).state;
  await letPass(15 * MINUTE);
  const first = await start();
  clock.step(HOUR);
  await letPass(9 * MINUTE);
  t.equal(await stateOf(first), "Running");
  await letPass(3 * MINUTE);
  t.equal(await stateOf(first), "Scheduled");
  const second = await start();
  clock.step(-HOUR);
  await letPass(9 * MINUTE);
  t.equal(await stateOf(second), "Running");
  await letPass(3 * MINUTE);
  t.equal(await stateOf(second), "Scheduled");
});

t.test("schedules: a step back repeats no start time, and the next ones come when the clock says so", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  await deployScheduled(cloud, everyMinutes(10));
  await letPass(35 * MINUTE);
  const before = await autoRuns(cloud);
  clock.step(-HOUR);
  await letPass(70 * MINUTE);
  const runs = await autoRuns(cloud);
  t.equal(new Set(runs).size, runs.length);
  t.strictSame(
    runs.filter((run) => before.includes(run)),
    before,
  );
  t.ok(runs.includes("09:40 Scheduled") && runs.includes("09:50 Scheduled"), "at the clock's own time");
});

t.test("schedules: a step forward is as an outage, and the policy says what is made up for", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  const skip = await deployScheduled(cloud, everyMinutes(10), { name: "skip" });
  const all = await deployScheduled(cloud, everyMinutes(10, { onMissed: "all" }), { name: "all" });
  await letPass(MINUTE);
  clock.step(3 * HOUR);
  await letPass(MINUTE);
  const [skipped, made] = [await autoRuns(cloud, skip.flowId), await autoRuns(cloud, all.flowId)];
  t.equal(skipped.filter((run) => run.endsWith("Cancelled")).length, 10);
  t.equal(made.filter((run) => run.endsWith("Scheduled")).length, 28);
  t.equal(new Set(made).size, 28);
});

t.test("runs that are due are announced though the clock was put back", async (t) => {
  const { cloud, clock } = await bed(t);
  const { flowId } = await deployFlow(cloud);
  await cloud.server.tick();
  clock.step(-HOUR);
  await cloud.server.tick();
  const due = new Date(clock.now() + MINUTE).toISOString();
  await cloud.call("create_flow_run", { flow_id: flowId, scheduled_start_time: due });
  const agent = await TestAgent.register(cloud);
  t.equal((await agent.claim()).runs.length, 0);
  clock.forward(MINUTE);
  await cloud.server.tick();
  t.equal((await agent.claim()).runs.length, 1);
});
