import t from "tap";
import type { Cloud } from "../../src/client/cloud.js";
import { type AgentBed, openAgentBed } from "../helpers/agent-bed.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);

async function running(
  bed: AgentBed,
  fixture: string,
  task: string,
  parameters: Record<string, unknown> = {},
): Promise<string> {
  const id = await bed.create(fixture, parameters);
  await eventually(async () =>
    (await bed.taskRuns(id)).some(({ taskSlug, state }) => taskSlug === task && state === "Running"),
  );
  return id;
}

const statesOf = async (bed: AgentBed, id: string) =>
  Object.fromEntries((await bed.taskRuns(id)).map(({ taskSlug, state }) => [taskSlug, state]));

t.test("a cancelled run whose code heeds its signal ends Cancelled at once, and its thread lives on", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("sleeps");
  const agent = bed.agent();
  await agent.start();
  const id = await running(bed, "sleeps", "sleep-1");
  const from = performance.now();
  await bed.cloud.cancelFlowRun(id);
  t.equal((await bed.reached(id)).state, "Cancelled");
  t.ok(performance.now() - from < 4_000, "long before any grace is over");
  t.same(await statesOf(bed, id), { ms: "Success", "sleep-1": "Cancelled", "after-1": "Cancelled" });
});

t.test("a cancelled run of short tasks ends Cancelled, whatever was on its way just then", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("many-short");
  // It hears no events and no heartbeat in time: what tells it is the report that is refused.
  const cloud: Cloud = { ...bed.cloud, agentEvents: (_agentId, _flowGroupId, signal) => silent(signal) };
  await bed.agent({ cloud, leaseMs: 60_000, pollMs: 100 }).start();
  for (const after of ["step-10", "step-30"]) {
    const id = await bed.create("many-short");
    await eventually(async () => (await statesOf(bed, id))[after] === "Success");
    await bed.cloud.cancelFlowRun(id);
    t.match(await bed.reached(id), { state: "Cancelled", message: "The flow run was cancelled." });
    t.same(new Set(Object.values(await statesOf(bed, id))), new Set(["Success", "Cancelled"]));
  }
  t.notMatch(bed.lines.join("\n"), / failed: /);
});

t.test("a run that is cancelled before it has begun is not begun, nor told as failed", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("sleeps");
  for (const isTold of [true, false]) {
    const asked = Promise.withResolvers<void>();
    const held = Promise.withResolvers<void>();
    const cloud: Cloud = {
      ...bed.cloud,
      async flow(flowId) {
        asked.resolve();
        await held.promise;
        return bed.cloud.flow(flowId);
      },
      // A heartbeat is far off: an agent that hears no events learns of it from what is refused.
      agentEvents: (agentId, flowGroupId, signal) =>
        isTold ? bed.cloud.agentEvents(agentId, flowGroupId, signal) : silent(signal),
    };
    const id = await bed.create("sleeps");
    const agent = bed.agent({ cloud, leaseMs: 60_000 });
    await agent.start();
    await asked.promise;
    t.equal(await bed.cloud.cancelFlowRun(id), "Cancelled");
    if (!isTold) held.resolve();
    await eventually(() => agent.activeRuns.length === 0);
    held.resolve();
    t.match(await bed.flowRun(id), { state: "Cancelled", message: "Flow run is cancelled" });
    await agent.stop();
  }
  t.equal(bed.lines.filter((line) => / was cancelled( and stopped)?\.$/.test(line)).length, 2);
});

/** Events of a Cloud that has nothing to tell. */
async function* silent(signal: AbortSignal): AsyncGenerator<never> {
  await new Promise((resolve) => signal.addEventListener("abort", resolve));
}

t.test("a cancelled busy loop is stopped hard after the grace, and its neighbour goes on", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("busy-loop");
  await bed.deploy("sleeps");
  const agent = bed.agent({ cancelGraceMs: 300, leaseMs: 1_500 });
  await agent.start();
  const neighbour = await running(bed, "sleeps", "sleep-1", { ms: 3_000 });
  const id = await running(bed, "busy-loop", "spin-1");
  await bed.cloud.cancelFlowRun(id);
  const run = await bed.reached(id);
  t.equal(run.state, "Cancelled");
  t.match(run.message, /did not end in time/);
  t.same(await statesOf(bed, id), { "spin-1": "Cancelled" });
  t.equal((await bed.reached(neighbour)).state, "Success");
});

t.test("a cancelled run that goes on and does not block its thread ends by the engine's own grace", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("ignores-cancel");
  await bed.agent().start();
  const id = await running(bed, "ignores-cancel", "loop-1");
  await bed.cloud.cancelFlowRun(id);
  t.equal((await bed.reached(id)).state, "Cancelled");
  t.same(await statesOf(bed, id), { "loop-1": "Cancelled", "after-1": "Cancelled" });
});

t.test("inline, a cancelled run ends Cancelled too, and the agent takes the next one", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("sleeps");
  await bed.agent({ mode: "inline" }).start();
  const id = await running(bed, "sleeps", "sleep-1");
  await bed.cloud.cancelFlowRun(id);
  t.equal((await bed.reached(id)).state, "Cancelled");
  t.equal((await bed.reached(await bed.create("sleeps", { ms: 1 }))).state, "Success");
});

t.test("drain: what is under way may end, nothing more is taken", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("sleeps");
  const agent = bed.agent();
  await agent.start();
  const id = await running(bed, "sleeps", "sleep-1", { ms: 300 });
  const draining = agent.drain({ graceMs: 10_000 });
  const late = await bed.create("sleeps", { ms: 1 });
  await draining;
  t.equal((await bed.flowRun(id)).state, "Success");
  t.equal((await bed.flowRun(late)).state, "Scheduled");
});

t.test(
  "drain with no time left: the run is given back, and another agent takes it at once and finishes it",
  async (t) => {
    const bed = await openAgentBed(t, home);
    await bed.deploy("sleeps");
    const first = bed.agent({ leaseMs: 60_000 });
    await first.start();
    const id = await running(bed, "sleeps", "sleep-1", { ms: 400 });
    const draining = first.drain({ graceMs: 60_000 });
    await first.drain({ graceMs: 0 });
    await draining;
    t.equal((await bed.flowRun(id)).state, "Scheduled");
    await bed.agent().start();
    t.equal((await bed.reached(id)).state, "Success");
    t.equal((await statesOf(bed, id))["after-1"], "Success");
  },
);

t.test("a lease that was lost stops the run hard, and nothing more is reported of it", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("busy-loop");
  const agent = bed.agent({ leaseMs: 600 });
  await agent.start();
  const id = await running(bed, "busy-loop", "spin-1");
  // The Cloud gives the run to nobody, and takes it from this agent: as it does when a lease has run out.
  const { fence } = await fenceOf(bed, id);
  await bed.cloud.releaseRuns(await agentIdOf(bed), [
    { flowRunId: id, fence, state: { type: "Failed", message: "taken away" } },
  ]);
  await eventually(() => agent.activeRuns.length === 0);
  const run = await bed.flowRun(id);
  t.match(run, { state: "Failed", message: "taken away" });
  t.match(bed.lines.join("\n"), /was taken over and is no longer run here/);
});

t.test(
  "the Cloud goes away mid-run and comes back: the run goes on where it stopped, and nothing is lost",
  async (t) => {
    const bed = await openAgentBed(t, home, { killable: true });
    await bed.deploy("counts-slowly");
    await bed.agent({ leaseMs: 60_000 }).start();
    const id = await running(bed, "counts-slowly", "count-2");
    await bed.killServer();
    await eventually(() => bed.lines.some((line) => line.startsWith("The Cloud is away")), { timeoutMs: 30_000 });
    await bed.restartServer();
    t.equal((await bed.reached(id)).state, "Success");
    const logs = await bed.logs(id);
    t.same(
      logs.map(({ message }) => message),
      ["1", "2", "3", "4", "5"],
      "every line once, in order",
    );
    t.ok(
      (await bed.taskRuns(id)).every(({ state, version }) => state === "Success" && version === 3),
      "and each task ran once",
    );
  },
);

async function agentIdOf(bed: AgentBed): Promise<string> {
  const { agent } = await bed.cloud.query<{ agent: { id: string }[] }>("{ agent { id } }");
  return agent[0]!.id;
}

async function fenceOf(bed: AgentBed, id: string): Promise<{ fence: number }> {
  // A first claim has the first fence.
  t.equal((await bed.flowRun(id)).timesResurrected, 0);
  return { fence: 1 };
}
