import t, { type Test } from "tap";
import { newId } from "../../src/core/ids.js";
import { subscribe } from "../helpers/agent-events.js";
import { eventually } from "../helpers/eventually.js";
import { holdInvariants } from "../helpers/invariants.js";
import { PrefectClient, PrefectRun, prefectState } from "../helpers/prefect-client.js";
import {
  deployFlow,
  flowRunRow,
  flowState,
  HandClock,
  letPass,
  startTestCloud,
  TestAgent,
  taskRunStates,
  taskState,
} from "../helpers/server.js";

/*
 * Flows of ours and of Prefect's in one Cloud, under the same labels: each kind of agent sees and gets its own alone.
 */

const SILENT_MS = 60_000;

async function openBoth(t: Test) {
  const clock = new HandClock();
  const services = { heartbeats: { everyMs: 1_000, silentAfterMs: SILENT_MS } };
  const cloud = await startTestCloud(t, { clock, services });
  const [ours, prefects] = [
    await deployFlow(cloud, { name: "ours" }),
    await deployFlow(cloud, { name: "prefect's", ours: false }),
  ];
  const [agent, client] = [await TestAgent.register(cloud), new PrefectClient(cloud)];
  await client.register("local", ["host"]);
  const create = async (flow: { flowId: string }, more: object = {}) =>
    (await cloud.call("create_flow_run", { flow_id: flow.flowId, ...more })).id;
  return { clock, cloud, ours, prefects, agent, client, create };
}

t.test("each kind of agent gets its own runs, however many of the other kind wait before them", async (t) => {
  const { cloud, ours, prefects, agent, client, create } = await openBoth(t);
  const of = { ours: [] as string[], prefects: [] as string[] };
  for (let n = 0; n < 30; n++) {
    of.prefects.push(await create(prefects));
    of.ours.push(await create(ours));
  }
  t.strictSame(await client.queue(["host"]), of.prefects.slice(0, 25));
  const { runs, next_due_at } = await agent.claim(40);
  t.strictSame(
    runs.map((run) => run.flow_run_id),
    of.ours,
  );
  t.equal(next_due_at, null, "what the agent cannot run is no reason to come again");
  const both = await cloud.call("get_runs_in_queue", { labels: ["host"] });
  t.strictSame(
    both.flow_run_ids,
    of.prefects.slice(0, 25),
    "who is no agent of Prefect's is shown what is left of both",
  );
  t.match(await cloud.ask("{ flow(order_by: {name: asc}) { name engine flow_runs(limit: 1) { engine } } }"), {
    body: {
      data: {
        flow: [
          { name: "ours", engine: "millrace", flow_runs: [{ engine: "millrace" }] },
          { name: "prefect's", engine: "prefect", flow_runs: [{ engine: "prefect" }] },
        ],
      },
    },
  });
});

t.test("a Running run of Prefect's whose task is due is shown to its agents, and not given to ours", async (t) => {
  const { clock, prefects, agent, client, create } = await openBoth(t);
  const id = await create(prefects);
  const run = await PrefectRun.begin(client, id);
  const start_time = new Date(clock.now() + 60_000).toISOString();
  await run.task("a-1", [prefectState("Retrying", "again", { start_time, run_count: 1 })]);
  t.strictSame(await client.queue(["host"]), []);
  clock.forward(60_000);
  t.strictSame(await client.queue(["host"]), [id]);
  t.strictSame(await agent.claim(), { runs: [], next_due_at: null });
});

t.test("agents of both kinds empty one queue at once: no run is had twice", async (t) => {
  const { cloud, ours, prefects, create } = await openBoth(t);
  const all: string[] = [];
  for (let n = 0; n < 20; n++) all.push(await create(ours), await create(prefects));
  const had: string[] = [];
  const ourAgent = async (name: string) => {
    const agent = await TestAgent.register(cloud, name);
    for (;;) {
      const { runs } = await agent.claim(3);
      if (runs.length === 0) return;
      had.push(...runs.map((run) => run.flow_run_id));
    }
  };
  const prefectsAgent = async (name: string) => {
    const client = new PrefectClient(cloud);
    await client.register(name, ["host"]);
    for (;;) {
      const ids = await client.queue(["host"]);
      if (ids.length === 0) return;
      for (const id of ids) {
        const refusal = await client.submit(id).then(
          (isOurs) => {
            if (isOurs) had.push(id);
          },
          (error: Error) => error.message,
        );
        if (typeof refusal === "string") t.match(refusal, /State update failed/);
      }
    }
  };
  await Promise.all([ourAgent("a"), ourAgent("b"), prefectsAgent("c"), prefectsAgent("d"), prefectsAgent("e")]);
  t.strictSame(had.sort(), all.sort());
  await holdInvariants(cloud);
});

t.test("a run of Prefect's is cancelled in two steps, and closed when its heartbeat has ended", async (t) => {
  const { clock, cloud, prefects, client, create } = await openBoth(t);
  const cancel = async (flow_run_id: string) => (await cloud.call("cancel_flow_run", { flow_run_id })).state;
  const [waits, submitted, running] = [await create(prefects), await create(prefects), await create(prefects)];
  t.equal(await cancel(waits), "Cancelled", "nobody runs it");
  await client.submit(submitted);
  t.equal(await cancel(submitted), "Cancelled", "its process finds it so and does not begin");
  await t.rejects(PrefectRun.begin(client, submitted), { message: /that is Cancelled stays so/ });

  const run = await PrefectRun.begin(client, running);
  await run.task("a-1", []);
  t.equal(await cancel(running), "Cancelling");
  t.equal(await cancel(running), "Cancelling");
  t.match(await flowRunRow(cloud, running), { version: 3, lease_agent_id: null });
  await letPass(cloud, clock, SILENT_MS - 1_000);
  t.match(await flowRunRow(cloud, running), { state: "Cancelling" }, "its process may still stop it");
  await letPass(cloud, clock, 3_000);
  t.match(await flowRunRow(cloud, running), {
    state: "Cancelled",
    state_message: /^Flow run is cancelled: no heartbeat of its process since 2026/,
  });
  t.match(await taskRunStates(cloud, running), { "a-1": "Cancelled" });
  await holdInvariants(cloud);
});

t.test("what a cancelled run's tasks asked for is cancelled with it, and what that asked for in turn", async (t) => {
  const { cloud, ours, agent, create } = await openBoth(t);
  await create(ours);
  const parent = await agent.claimOne();
  const [taskRunId] = parent.task_runs.map((each) => each.id);
  await agent.report(parent, [flowState("Running"), taskState(parent, "a-1", "Running", 1)]);
  await create(ours, { idempotency_key: taskRunId });
  const child = await agent.claimOne();
  await agent.report(child, [flowState("Running")]);
  const waiting = await create(ours, { idempotency_key: `${taskRunId}/2`, labels: ["nowhere"] });
  const grandchild = await create(ours, { idempotency_key: child.task_runs[0]!.id, labels: ["nowhere"] });
  const stranger = await create(ours, { idempotency_key: newId(), labels: ["nowhere"] });
  const stateOf = async (id: string) => (await flowRunRow(cloud, id)).state;

  t.equal((await cloud.call("cancel_flow_run", { flow_run_id: parent.flow_run_id })).state, "Cancelling");
  t.equal(await stateOf(child.flow_run_id), "Running", "the parent's code may end its children itself");
  await agent.report(parent, [flowState("Cancelled")]);
  t.equal(await stateOf(child.flow_run_id), "Cancelling", "its agent is to stop it");
  t.equal(await stateOf(waiting), "Cancelled");
  t.equal(await stateOf(stranger), "Scheduled");
  await agent.report(child, [flowState("Cancelled")]);
  t.equal(await stateOf(grandchild), "Cancelled");
  await holdInvariants(cloud);
});

t.test("an agent of ours is not woken for what it cannot run", async (t) => {
  const { clock, cloud, prefects, ours, agent, create } = await openBoth(t);
  const events = await subscribe(cloud, agent.id);
  t.teardown(() => events.close());
  await eventually(() => cloud.server.listeners === 1);
  await create(prefects);
  const soon = { scheduled_start_time: new Date(clock.now() + 2_000).toISOString() };
  await create(prefects, soon);
  await letPass(cloud, clock, 5_000);
  t.strictSame(events.events, []);
  await create(ours);
  t.match(await events.next(), { run_due: true });
  t.equal(events.events.length, 1);
});
