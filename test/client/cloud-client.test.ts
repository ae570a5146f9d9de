import { join } from "node:path";
import t from "tap";
import type { Cloud, NewFlow } from "../../src/client/cloud.js";
import { openCloud } from "../../src/client/cloud-client.js";
import { findFlowRun, listLogs, listTaskRuns } from "../../src/client/run-reads.js";
import { toWireState } from "../../src/codec/state-json.js";
import { buildFlow } from "../../src/core/building.js";
import { hashFlowSpec, toFlowSpec } from "../../src/core/flow-spec.js";
import { newId } from "../../src/core/ids.js";
import { makeState } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { startServer } from "../../src/server/index.js";
import { eventually } from "../helpers/eventually.js";

const LEASE_MS = 30_000;
const greet = task("greet", () => "hello");
const spec = toFlowSpec(buildFlow("hello", {}, () => void greet(), undefined));

function newFlow(projectId: string, more: Partial<NewFlow> = {}): NewFlow {
  return {
    projectId,
    spec,
    specHash: hashFlowSpec(spec),
    storage: { type: "Local", location: "/flows/hello", hash: "abc" },
    labels: ["host"],
    threadOptions: { freshThread: false, maxHeapMb: null },
    idempotencyKey: "first",
    ...more,
  };
}

const server = await startServer({ database: join(t.testdir(), "cloud.db"), port: 0 });
const cloud = openCloud({ url: server.url, token: server.token! });
t.teardown(async () => {
  await cloud.close();
  await server.close();
});

async function deployed(project: string) {
  const projectId = await cloud.createProject(project);
  return cloud.createFlow(newFlow(projectId));
}

const claimOf = (agentId: string, limit = 10) => ({ agentId, labels: ["host"], limit, leaseMs: LEASE_MS });

t.test("the Cloud knows its first token, and no other", async (t) => {
  await cloud.hello();
  t.match(await cloud.authInfo(), { scope: "USER", name: "first key", tenantId: /^[0-9a-f-]{36}$/ });
  for (const token of [undefined, "wrong"]) {
    const stranger = openCloud({ url: server.url, ...(token === undefined ? {} : { token }) });
    t.teardown(() => stranger.close());
    await t.rejects(stranger.hello(), { code: "UNAUTHENTICATED", hint: /auth login/ });
  }
});

t.test("a token that was made can be used", async (t) => {
  const { key } = await cloud.createApiKey("ci", "RUNNER");
  const runner = openCloud({ url: server.url, token: key });
  t.teardown(() => runner.close());
  t.match(await runner.authInfo(), { scope: "RUNNER", name: "ci" });
});

t.test("a project is made once, and found by its name", async (t) => {
  t.equal(await cloud.findProject("Once"), undefined);
  const projectId = await cloud.createProject("Once", "made by a test");
  t.equal(await cloud.createProject("Once"), projectId);
  t.equal(await cloud.findProject("Once"), projectId);
});

t.test("a flow comes back as it was registered; the same key makes no new version", async (t) => {
  const projectId = await cloud.createProject("Flows");
  const first = await cloud.createFlow(newFlow(projectId));
  t.match(first, { version: 1, created: true });
  t.same(await cloud.createFlow(newFlow(projectId)), { ...first, created: false });
  const second = await cloud.createFlow(newFlow(projectId, { idempotencyKey: "second", labels: ["b", "a"] }));
  t.match(second, { version: 2, created: true, flowGroupId: first.flowGroupId });

  const latest = await cloud.latestFlow("Flows", "hello");
  t.same(latest, {
    flowId: second.flowId,
    flowGroupId: first.flowGroupId,
    name: "hello",
    version: 2,
    projectName: "Flows",
    archived: false,
    storage: { type: "Local", location: "/flows/hello", hash: "abc" },
    spec,
    specHash: hashFlowSpec(spec),
    labels: ["a", "b"],
    runConfig: { type: "UniversalRun", env: null, labels: ["a", "b"] },
    threadOptions: { freshThread: false, maxHeapMb: null },
  });
  t.equal((await cloud.flow(first.flowId))?.version, 1);
  t.equal((await cloud.latestFlow(undefined, "hello"))?.name, "hello");
  t.equal(await cloud.latestFlow("Flows", "none"), undefined);
  t.equal(await cloud.latestFlow("None", "hello"), undefined);
  t.equal(await cloud.flow(newId()), undefined);
});

t.test("a run is asked for, claimed, reported and seen", async (t) => {
  const projectId = await cloud.createProject("Runs");
  const day = { name: "day", required: true, default: null, description: null, jsonSchema: { type: "string" } };
  const { flowId, flowGroupId } = await cloud.createFlow(newFlow(projectId, { spec: { ...spec, parameters: [day] } }));
  await t.rejects(cloud.createFlowRun({ flowId, parameters: { day: 1 } }), {
    code: "PARAMETER_INVALID",
    message: /"day": must be string, found 1/,
    details: [{ parameter: "day", path: "" }],
  });
  const agentId = await cloud.registerAgent({ type: "LocalAgent", name: "a", labels: ["host"] });
  const run = { flowId, parameters: { day: "today" }, name: "first-run", idempotencyKey: "once" };
  const flowRunId = await cloud.createFlowRun(run);
  t.equal(await cloud.createFlowRun(run), flowRunId, "the same key answers the same run");

  const { runs } = await cloud.claimRuns({ ...claimOf(agentId), flowGroupId });
  t.equal(runs.length, 1);
  const claimed = runs[0]!;
  t.match(claimed, { flowRunId, flowId, name: "first-run", parameters: { day: "today" }, timesResurrected: 0 });
  t.match(claimed.taskRuns, [{ taskSlug: "greet-1", mapIndex: -1 }]);
  t.same(await cloud.renewLeases(agentId, [claimed], LEASE_MS), { lost: [], cancelling: [], granted: [] });

  const taskRun = claimed.taskRuns[0]!;
  const report = await cloud.reportStates(
    {
      agentId,
      streamId: newId(),
      batch: 1,
      runs: [
        {
          flowRunId,
          fence: claimed.fence,
          states: [
            { state: toWireState(makeState("Running", null)), at: new Date().toISOString() },
            { taskRun, state: toWireState(makeState("Running", null)), at: new Date().toISOString() },
            {
              taskRun: { ...taskRun, version: taskRun.version + 1 },
              state: toWireState(makeState("Success", "done")),
              at: new Date().toISOString(),
            },
          ],
          logs: [
            { at: new Date().toISOString(), level: "INFO", name: "millrace.greet", message: "hi", taskRunId: null },
          ],
        },
      ],
    },
    claimOf(agentId),
  );
  t.same(report.refused, []);
  t.same(report.claimed?.runs, []);

  t.match(await findFlowRun(cloud, "first-run"), { flowRunId, state: "Running", parameters: { day: "today" } });
  t.match(await listTaskRuns(cloud, flowRunId, { limit: 10 }), [
    { taskSlug: "greet-1", state: "Success", message: "done" },
  ]);
  t.match(await listLogs(cloud, flowRunId, { limit: 10 }), [{ level: "INFO", message: "hi" }]);
  await cloud.releaseRuns(agentId, [{ ...claimed, state: toWireState(makeState("Failed", "given up")) }]);
  t.match(await findFlowRun(cloud, flowRunId), { state: "Failed", message: "given up" });
});

t.test("a report under an old fence is refused, and the batch says so again when it is sent twice", async (t) => {
  const { flowId } = await deployed("Fences");
  const agentId = await cloud.registerAgent({ type: "LocalAgent", name: "b", labels: ["host"] });
  const flowRunId = await cloud.createFlowRun({ flowId });
  const [claimed] = (await cloud.claimRuns(claimOf(agentId))).runs;
  const states = [{ state: toWireState(makeState("Running", null)), at: new Date().toISOString() }];
  const runs = [{ flowRunId, fence: claimed!.fence - 1, states, logs: [] }];
  const batch = { agentId, streamId: newId(), batch: 1, runs };
  const answer = await cloud.reportStates(batch);
  t.match(answer.refused, [{ flowRunId, code: "RUN_LEASE_LOST" }]);
  t.same(await cloud.reportStates(batch), answer);
});

t.test("a claim that fails does not lose the report that went with it", async (t) => {
  const { flowId } = await deployed("Claims");
  const agentId = await cloud.registerAgent({ type: "LocalAgent", name: "c", labels: ["host"] });
  const flowRunId = await cloud.createFlowRun({ flowId });
  const [claimed] = (await cloud.claimRuns(claimOf(agentId))).runs;
  const states = [{ state: toWireState(makeState("Running", null)), at: new Date().toISOString() }];
  const runs = [{ flowRunId, fence: claimed!.fence, states, logs: [] }];
  const wrong = { ...claimOf(agentId), limit: -1 };
  await t.rejects(cloud.claimRuns(wrong), { code: "INPUT_INVALID" });
  const answer = await cloud.reportStates({ agentId, streamId: newId(), batch: 1, runs }, wrong);
  t.same(answer, { refused: [], cancelling: [], queued: [], granted: [], claimed: undefined });
  t.match(await findFlowRun(cloud, flowRunId), { state: "Running" });
});

t.test("an agent hears at once of a run that is due and of one that is to stop", async (t) => {
  const { flowId, flowGroupId } = await deployed("Events");
  const agentId = await cloud.registerAgent({ type: "LocalAgent", name: "d", labels: ["host"] });
  const stop = new AbortController();
  const heard: Awaited<ReturnType<typeof next>>[] = [];
  const events = cloud.agentEvents(agentId, flowGroupId, stop.signal)[Symbol.asyncIterator]();
  const next = () => events.next();
  t.match(await next(), { value: { runDue: true } }, "on connecting");
  const flowRunId = await cloud.createFlowRun({ flowId });
  await eventually(async () => {
    heard.push(await next());
    return heard.some(({ value }) => value?.runDue);
  });
  const claimed = await eventually(async () => (await cloud.claimRuns({ ...claimOf(agentId), flowGroupId })).runs[0]);
  t.equal(claimed.flowRunId, flowRunId);
  const states = [{ state: toWireState(makeState("Running", null)), at: new Date().toISOString() }];
  await cloud.reportStates({
    agentId,
    streamId: newId(),
    batch: 1,
    runs: [{ flowRunId, fence: claimed.fence, states, logs: [] }],
  });
  t.equal(await cloud.cancelFlowRun(flowRunId), "Cancelling");
  await eventually(async () => {
    const { value } = await next();
    return value?.cancelling.includes(flowRunId);
  });
  stop.abort();
  t.equal((await next()).done, true);
});

t.test("what is not in the Cloud is named in the error", async (t) => {
  const id = newId();
  const asked: [string, (cloud: Cloud) => Promise<unknown>, string][] = [
    ["a run of a flow", (each) => each.createFlowRun({ flowId: id }), "FLOW_NOT_FOUND"],
    ["cancelling a run", (each) => each.cancelFlowRun(id), "FLOW_RUN_NOT_FOUND"],
    ["a flow run by its id", (each) => findFlowRun(each, id), "FLOW_RUN_NOT_FOUND"],
    ["a flow run by its name", (each) => findFlowRun(each, "no-such-run"), "FLOW_RUN_NOT_FOUND"],
  ];
  for (const [title, ask, code] of asked) await t.rejects(ask(cloud), { code }, title);
});
