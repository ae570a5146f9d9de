import t from "tap";
import { deployFlow, flowRunRow, TestAgent } from "../../helpers/server.js";
import { bed, deployScheduled, everyMinutes, HOUR, MINUTE, SECOND } from "./bed.js";

const lines = (cloud: Awaited<ReturnType<typeof bed>>["cloud"]) =>
  cloud.rows<{ flow_run_id: string; message: string }>("SELECT * FROM log WHERE name = 'millrace.late' ORDER BY id");

t.test("a run that nobody takes for fifteen seconds is noted as late, once, and changed in nothing else", async (t) => {
  const { cloud, letPass } = await bed(t);
  const { flowId } = await deployFlow(cloud);
  const { id } = await cloud.call("create_flow_run", { flow_id: flowId });
  const before = await flowRunRow(cloud, id);
  await letPass(14 * SECOND);
  t.strictSame(await flowRunRow(cloud, id), before);
  await letPass(6 * SECOND);
  const row = await flowRunRow(cloud, id);
  t.match(row, { ...before, late_at: /^2026-11-23T10:00:(15|16|17|18|19|20)\.000Z$/ });
  await letPass(MINUTE);
  t.strictSame(await flowRunRow(cloud, id), row);
  t.match(await lines(cloud), [
    {
      flow_run_id: id,
      level: "WARNING",
      message: /^Late: due at 2026-11-23T10:00:00\.000Z, and not picked up for (15|16|17|18|19|20) s\. `millrace why /,
    },
  ]);
  const answer = await cloud.ask("{ flow_run(where: { late_at: { _is_null: false } }) { id late_at } }");
  t.match(answer.body.data, { flow_run: [{ id, late_at: /^2026-11-23T10:00:/ }] });
});

t.test("a run that is taken in time, or not due yet, is not late", async (t) => {
  const { cloud, letPass } = await bed(t);
  const { flowId } = await deployFlow(cloud);
  const agent = await TestAgent.register(cloud);
  await cloud.call("create_flow_run", { flow_id: flowId });
  await cloud.call("create_flow_run", { flow_id: flowId, scheduled_start_time: "2026-11-23T11:00:00.000Z" });
  await letPass(10 * SECOND);
  const run = await agent.claimOne();
  await letPass(20 * SECOND);
  t.match(await flowRunRow(cloud, run.flow_run_id), { late_at: null });
  t.strictSame(await lines(cloud), []);
});

t.test("a run that was asked for late is given its seconds too; how many is an option", async (t) => {
  const { cloud, letPass } = await bed(t, { late: { afterMs: MINUTE, everyMs: SECOND } });
  const { flowId } = await deployFlow(cloud);
  await cloud.call("create_flow_run", { flow_id: flowId, scheduled_start_time: "2026-11-23T09:00:00.000Z" });
  await letPass(MINUTE - SECOND);
  t.equal((await lines(cloud)).length, 0);
  await letPass(2 * SECOND);
  t.equal((await lines(cloud)).length, 1);
});

t.test("each late run of a schedule is noted once, also after a restart and a step of the clock", async (t) => {
  const { cloud, clock, letPass } = await bed(t);
  await deployScheduled(cloud, everyMinutes(10));
  await letPass(HOUR + MINUTE);
  t.equal((await lines(cloud)).length, 6);
  clock.step(-HOUR);
  await letPass(10 * MINUTE);
  t.equal((await lines(cloud)).length, 6);
});
