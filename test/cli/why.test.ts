import { hostname } from "node:os";
import t from "tap";
import { openCloud } from "../../src/client/cloud-client.js";
import { listLimits, whyWaiting } from "../../src/client/limits.js";
import type { WhyReason } from "../../src/client/wire.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { millrace } from "../helpers/command-line.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";
import { deployTagged } from "../helpers/limits.js";
import {
  flowState,
  HandClock,
  serializedFlow,
  startTestCloud,
  TestAgent,
  type TestCloud,
  taskState,
} from "../helpers/server.js";

const home = await temporaryHome(t);

/** A Cloud, and the command line logged in to it. */
async function bed(t: Parameters<typeof startTestCloud>[0], options = {}) {
  const cloud = await startTestCloud(t, options);
  const env = { MILLRACE_API_URL: cloud.url, MILLRACE_API_TOKEN: cloud.token, NO_COLOR: "1" };
  const run = (words: string[]) => millrace(words, { home, env });
  const why = async (...words: string[]): Promise<WhyReason[]> => {
    const { code, stdout, stderr } = await run(["why", ...words, "--json"]);
    if (code !== 0) throw new Error(stderr);
    return (JSON.parse(stdout) as { reasons: WhyReason[] }).reasons;
  };
  /** Executes a reason's command, as a person would who copies it. */
  const fix = async (reason: WhyReason | undefined, ...more: string[]) => {
    const words = reason!.fix!.match(/'[^']*'|\S+/g)!.map((word) => word.replaceAll("'", ""));
    if (words[0] !== "millrace") throw new Error(`${reason!.fix} is not ours to execute.`);
    const { code, stderr } = await run([...words.slice(1), ...more]);
    if (code !== 0) throw new Error(stderr);
  };
  return { cloud, run, why, fix };
}

const create = async (cloud: TestCloud, flowId: string, more = {}) =>
  (await cloud.call("create_flow_run", { flow_id: flowId, ...more })).id;
const codes = (reasons: readonly WhyReason[]) => reasons.map(({ code }) => code);

t.test("no agent is there, then one with other labels: the command starts one that takes the run", async (t) => {
  const agents = await openAgentBed(t, home);
  const run = await agents.create("hello");
  const env = { MILLRACE_API_URL: agents.address.url, MILLRACE_API_TOKEN: agents.address.token };
  const why = async () => {
    const { stdout } = await millrace(["why", run, "--json"], { home, env });
    return (JSON.parse(stdout) as { reasons: WhyReason[] }).reasons;
  };
  const [none] = await why();
  t.match(none, { code: "NO_AGENT", message: "No agent is there: none was ever registered." });
  await agents.agent({ name: "wrong", labels: ["elsewhere"] }).start();
  const [differs] = await why();
  t.match(differs, { code: "LABELS_DIFFER", message: /Agent "wrong" does not take it: it lacks label/ });
  t.ok((differs!.details as { missing: string[] }).missing.includes(hostname()));
  t.equal(differs!.fix, none!.fix);
  const words = differs!.fix!.split(" ").slice(1);
  t.match(await millrace([...words, "--once"], { home, env }), { code: 0 });
  t.match(await why(), [{ code: "ENDED", message: /^It ended in Success at / }]);
});

t.test("a run without labels, one of another flow's agent, one of Prefect's flows", async (t) => {
  const { cloud, why } = await bed(t);
  const { flowId } = await deployTagged(cloud, {}, { labels: ["host"] });
  const bare = await deployTagged(cloud, {}, { name: "bare", labels: [] });
  const theirs = await deployTagged(cloud, {}, { name: "theirs", labels: ["host"], ours: false });
  await TestAgent.register(cloud, "mine", ["host"]);
  t.match(await why(await create(cloud, bare.flowId)), [
    { code: "LABELS_DIFFER", message: /the run has no labels/, fix: "millrace agent start local --no-hostname-label" },
  ]);
  t.match(await why(await create(cloud, theirs.flowId)), [
    { code: "OTHER_ENGINE", fix: "prefect agent local start --no-hostname-label -l host" },
  ]);
  t.match(await why(await create(cloud, flowId)), [{ code: "ABOUT_TO_START", fix: null }]);
});

t.test("not yet due: the command starts another run now", async (t) => {
  const agents = await openAgentBed(t, home);
  const { flowId } = await agents.deploy("hello");
  const at = new Date(Date.now() + 3_600_000).toISOString();
  const later = await agents.cloud.createFlowRun({ flowId, scheduledStartAt: at });
  await agents.agent().start();
  const [reason, ...others] = (await whyWaiting(agents.cloud, later)).reasons;
  t.match(reason, { code: "NOT_DUE", message: `It is due at ${at}.` });
  t.same(others, [], "with an agent that takes it, nothing else is the matter");
  const env = { MILLRACE_API_URL: agents.address.url, MILLRACE_API_TOKEN: agents.address.token };
  const { code, stdout } = await millrace([...reason!.fix!.split(" ").slice(1), "--json"], { home, env });
  t.equal(code, 0);
  t.equal((await agents.reached((JSON.parse(stdout) as { flowRunId: string }).flowRunId)).state, "Success");
});

t.test("a label's slots are taken: by whom, and the command makes room", async (t) => {
  const { cloud, run, why, fix } = await bed(t);
  const { flowId } = await deployTagged(cloud, {}, { labels: ["host"] });
  const agent = await TestAgent.register(cloud);
  t.match(await run(["limit", "flow-label", "host", "1"]), {
    code: 0,
    stdout: 'At most 1 flow run with label "host" at once.\n',
  });
  await create(cloud, flowId, { flow_run_name: "holder" });
  await agent.claimOne();
  const waits = await create(cloud, flowId, { flow_run_name: "waiter" });
  t.same((await agent.claim()).runs, []);
  const [reason] = await why("waiter");
  t.match(reason, { code: "FLOW_LABEL_LIMIT", message: /its 1 slot is taken by "holder"/, details: { limit: 1 } });
  await fix(reason);
  t.equal((await agent.claimOne()).flow_run_id, waits);
  t.match(await run(["get", "limits"]), { stdout: /flow-label +host +2/ });
  t.match(await run(["limit", "flow-label", "host", "--delete"]), { code: 0 });
  t.match(await run(["limit", "flow-label", "host"]), { code: 1, stderr: /takes a number, or --delete/ });
  const client = openCloud({ url: cloud.url, token: cloud.token });
  t.same(await listLimits(client), []);
  await client.close();
});

t.test(
  "a run under way: tasks that wait for slots, for someone, for their time, for others, and who holds it",
  async (t) => {
    const { cloud, run, why, fix } = await bed(t);
    const { projectId } = await deployTagged(cloud, {});
    const flow = serializedFlow({ name: "orders", tasks: ["a-1", "b-1", "c-1", "d-1"], edges: [["d-1", "c-1"]] });
    for (const task of flow.tasks as { slug: string; tags?: string[] }[]) if (task.slug === "a-1") task.tags = ["db"];
    const { id } = await cloud.call("create_flow", { project_id: projectId, serialized_flow: flow });
    const agent = await TestAgent.register(cloud, "mine");
    await cloud.call("update_task_tag_limit", { tag: "db", limit: 0 });
    await create(cloud, id, { flow_run_name: "wise-otter" });
    const held = await agent.claimOne();
    t.match(await why("wise-otter"), [
      { code: "STARTING" },
      { code: "HELD", message: /^Agent "mine" holds it until / },
    ]);
    const paused = { ...taskState(held, "b-1", "Paused", 2), state: { type: "Paused", start_time: null } };
    const retrying = {
      ...taskState(held, "d-1", "Retrying", 2),
      state: { type: "Retrying", start_time: "2099-01-01T00:00:00.000Z" },
    };
    const begin = ["a-1", "b-1", "d-1"].map((slug) => taskState(held, slug, "Running", 1));
    await agent.report(held, [flowState("Running"), ...begin, paused, retrying]);
    const reasons = await why("wise-otter");
    t.same(codes(reasons), ["TASK_TAG_LIMIT", "TASK_PAUSED", "TASK_RETRYING", "UPSTREAM_NOT_FINISHED", "HELD"]);
    t.match(reasons, [
      { message: /Task run "a" waits for a slot of tag "db", whose limit of 0 pauses/ },
      { message: /Task run "b" is Paused since .*, until someone resumes it/ },
      { message: 'Task run "d" is tried again at 2099-01-01T00:00:00.000Z.' },
      { message: 'Task run "c" waits for "d".' },
      { message: /^Agent "mine" holds it until .*, and was heard of last at / },
    ]);
    await fix(reasons[0]);
    t.same((await agent.renew([held])).granted.length, 1);
    await fix(reasons[1]);
    t.notOk(codes(await why("wise-otter")).includes("TASK_PAUSED"));
    const { stdout } = await run(["why", "wise-otter"]);
    t.match(
      stdout,
      /^Flow run wise-otter is Running\n\n {2}· Task runs that waited have their slots.*\n {2}! Task run "d" is tried again/,
    );
    t.notMatch(stdout, "\u001b", "NO_COLOR is heeded");
    await cloud.call("cancel_flow_run", { flow_run_id: held.flow_run_id });
    t.match(await why("wise-otter"), [{ code: "CANCELLING" }, { code: "HELD" }]);
  },
);

t.test(
  "why a flow makes no runs: no schedule, one that is off, parameters that are missing, the next run",
  async (t) => {
    const { cloud, run, why, fix } = await bed(t, { clock: new HandClock() });
    const { projectId } = await deployTagged(cloud, {}, { name: "plain" });
    t.match(await why("--flow", "plain", "--project", "Sales"), [{ code: "NO_SCHEDULE" }]);
    const clocks = [
      { type: "IntervalClock", interval: 3_600_000_000, start_date: { dt: "2026-01-01T00:00:00", tz: "UTC" } },
    ];
    const schedule = { type: "Schedule", clocks, filters: [], or_filters: [], not_filters: [], adjustments: [] };
    const deploy = (name: string, parameters: never[]) =>
      cloud.call("create_flow", {
        project_id: projectId,
        serialized_flow: { ...serializedFlow({ name, parameters }), schedule },
        set_schedule_active: false,
      } as never);
    await deploy("hourly", []);
    await deploy("daily", [{ name: "day", slug: "day-1", required: true }] as never);
    const [off] = await why("--flow", "hourly");
    t.match(off, { code: "SCHEDULE_INACTIVE", fix: "millrace schedule on --name hourly --project Sales" });
    await fix(off);
    t.notOk(codes(await why("--flow", "hourly")).includes("SCHEDULE_INACTIVE"));
    await cloud.server.tick();
    t.match((await why("--flow", "hourly")).at(-1), { code: "NEXT_RUN" });
    t.match(await why("--flow", "daily"), [
      { code: "PARAMETERS_MISSING", details: { missing: ["day"] } },
      { code: "SCHEDULE_INACTIVE", fix: null },
    ]);
    t.match(await run(["why", "--flow", "nowhere"]), {
      code: 1,
      stderr: /FLOW_NOT_DEPLOYED: There is no flow "nowhere"/,
    });
    t.match(await run(["why"]), { code: 1, stderr: /takes a flow run, or --flow/ });
  },
);

t.test("agents that could take it have no free thread", async (t) => {
  const agents = await openAgentBed(t, home);
  const busy = await agents.create("sleeps");
  await agents.agent({ name: "full", threads: 1 }).start();
  await eventually(async () => (await agents.flowRun(busy)).state === "Running");
  const waits = await agents.create("sleeps", { ms: 1 });
  const env = { MILLRACE_API_URL: agents.address.url, MILLRACE_API_TOKEN: agents.address.token };
  const { stdout } = await millrace(["why", waits, "--json"], { home, env });
  t.match(JSON.parse(stdout).reasons, [{ message: /full \(1 run under way\)/ }]);
  await agents.cloud.cancelFlowRun(busy);
  t.equal((await agents.reached(waits)).state, "Success");
});
