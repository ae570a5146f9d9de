import t, { type Test } from "tap";
import { holdInvariants } from "../helpers/invariants.js";
import { historyOf, PrefectClient, PrefectRun, prefectState, success } from "../helpers/prefect-client.js";
import { deployFlow, flowRunRow, HandClock, startTestCloud, type TestCloud } from "../helpers/server.js";

const TASKS = ["n-1", "fetch-1", "square-1", "flaky-1", "approve-1", "total-1"];
const LABELS = ["host"];

interface Session {
  t: Test;
  cloud: TestCloud;
  clock: HandClock;
  client: PrefectClient;
  run: PrefectRun;
}

/** Up to the point where a process has the run and it is Running. */
async function begin(t: Test, twice: boolean): Promise<Session> {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock });
  const { flowId } = await deployFlow(cloud, { tasks: TASKS, ours: false });
  const client = new PrefectClient(cloud, { twice });
  const asked = { flow_id: flowId, idempotency_key: "6f1c", scheduled_start_time: "2026-11-23T09:59:00+00:00" };
  const { id } = await client.mutate<{ id: string }>("create_flow_run", asked, "{ id }");
  await client.register("local", LABELS);
  t.strictSame(await client.queue(LABELS), [id]);
  await client.submit(id);
  t.strictSame(await client.queue(LABELS), [], "what is Submitted is in no queue");
  clock.forward(1_000);
  const run = await PrefectRun.begin(client, id);
  return { t, cloud, clock, client, run };
}

/** A run with a mapped task, a retry, and a pause over which the process ends; two processes, one end. */
async function toSuccess({ t, cloud, clock, client, run }: Session): Promise<Record<string, string[]>> {
  await run.task("n-1", [success()]);
  await run.task("fetch-1", [success()]);
  await run.mapped("square-1", 3);
  const retry = { start_time: new Date(clock.now() + 2_000).toISOString(), run_count: 1 };
  await run.task("flaky-1", [
    prefectState("Failed", "Unexpected error: OSError()"),
    prefectState("Retrying", "Retrying Task (after attempt 1 of 2)", retry),
  ]);
  clock.forward(2_000);
  await run.task("flaky-1", [success()]);
  const approve = await run.info("approve-1");
  const inputs = { x: { location: "1", type: "PrefectResult" } };
  await client.setTaskRun(
    approve.id,
    null,
    prefectState("Paused", "Waiting for approval", { start_time: null, cached_inputs: inputs }),
  );
  t.strictSame(await client.queue(LABELS), [], "a pause without an end is never due");

  // Its process is gone; someone resumes the task.
  const resumed = prefectState("Resume", "Approved", { start_time: new Date(clock.now()).toISOString() });
  await client.setTaskRun(approve.id, null, resumed);
  t.strictSame(await client.queue(LABELS), [run.id]);
  await client.submit(run.id);
  t.strictSame(await client.queue(LABELS), []);
  const kept = (await run.info("approve-1")).serialized_state;
  t.strictSame(kept.cached_inputs, inputs, "the inputs stand in every state since");

  const next = await PrefectRun.begin(client, run.id);
  await next.task("approve-1", [success()]);
  await next.task("total-1", [success()]);
  await next.end("Success", "All reference tasks succeeded.");
  return historyOf(cloud, run.id);
}

const created = "1 Pending: Task run created";
const ran = (from: number) => [`${from} Running: Starting task run.`, `${from + 1} Success: Task run succeeded.`];
const child = [created, ...ran(2)];
const WHOLE: Record<string, string[]> = {
  "flow run": [
    "1 Scheduled: Flow run scheduled.",
    "2 Submitted: Submitted for execution",
    "3 Running: Running flow.",
    "4 Success: All reference tasks succeeded.",
  ],
  "n-1 -1": child,
  "fetch-1 -1": child,
  "square-1 -1": [created, "2 Mapped: Ready to proceed with mapping."],
  "square-1 0": child,
  "square-1 1": child,
  "square-1 2": child,
  "flaky-1 -1": [
    created,
    "2 Running: Starting task run.",
    "3 Failed: Unexpected error: OSError()",
    "4 Retrying: Retrying Task (after attempt 1 of 2)",
    ...ran(5),
  ],
  "approve-1 -1": [
    created,
    "2 Paused: Waiting for approval",
    "3 Resume: Approved",
    "4 Submitted: Submitted for execution",
    ...ran(5),
  ],
  "total-1 -1": child,
};

for (const twice of [false, true]) {
  const how = twice ? "with every mutation sent twice" : "as it was recorded";
  t.test(`a run of Prefect's with a map, a retry, a pause and two processes, ${how}`, async (t) => {
    const session = await begin(t, twice);
    t.strictSame(await toSuccess(session), WHOLE);
    const row = await flowRunRow(session.cloud, session.run.id);
    t.match(row, { state: "Success", version: 4, lease_agent_id: null, fence: 0, agent_id: session.client.agentId });
    const [{ lines } = { lines: 0 }] = await session.cloud.rows<{ lines: number }>("SELECT count(*) AS lines FROM log");
    t.equal(lines, twice ? 4 : 2, "only log lines have no name to know them by");
    const [{ agents } = { agents: 0 }] = await session.cloud.rows<{ agents: number }>(
      "SELECT count(*) AS agents FROM agent",
    );
    t.equal(agents, 1);
    await holdInvariants(session.cloud);
  });

  t.test(`a run of Prefect's that is cancelled, ${how}`, async (t) => {
    const { cloud, client, run } = await begin(t, twice);
    await run.task("n-1", [success()]);
    await run.task("fetch-1", []);
    const cancel = () => client.mutate<{ state: string }>("cancel_flow_run", { flow_run_id: run.id }, "{ state }");
    t.strictSame(await cancel(), { state: "Cancelling" }, "its process has it: it is asked to stop");
    t.equal((await client.runInfo(run.id)).serialized_state.type, "Cancelling");
    await t.rejects(run.task("total-1", []), {
      message: /^State update failed for task run ID .* not in a running state\./,
    });
    await run.end("Cancelled", "Flow run is cancelled");
    t.strictSame(await cancel(), { state: "Cancelled" });
    const { "flow run": flowRun, ...taskRuns } = await historyOf(cloud, run.id);
    t.strictSame(flowRun!.slice(2), [
      "3 Running: Running flow.",
      "4 Cancelling: Flow run is cancelling",
      "5 Cancelled: Flow run is cancelled",
    ]);
    t.strictSame(taskRuns["n-1 -1"], child);
    t.strictSame(taskRuns["fetch-1 -1"], [
      created,
      "2 Running: Starting task run.",
      "3 Cancelled: Flow run is cancelled",
    ]);
    t.strictSame(taskRuns["total-1 -1"], [created, "2 Cancelled: Flow run is cancelled"]);
    await t.rejects(run.end("Success", "All reference tasks succeeded."), { message: /stays so/ });
    await holdInvariants(cloud);
  });
}
