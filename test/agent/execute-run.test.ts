import { join } from "node:path";
import t from "tap";
import { executeRun } from "../../src/agent/execute-run.js";
import { envOfRun } from "../../src/agent/run-config.js";
import { newId } from "../../src/core/ids.js";
import { runConfigs } from "../../src/core/options/run-config.js";
import { loadVendor } from "../../src/storage/load-vendor.js";
import { type AgentBed, openAgentBed } from "../helpers/agent-bed.js";
import { millrace, startMillrace } from "../helpers/command-line.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const bed = await openAgentBed(t, home);

const execute = (id: string, more: readonly string[] = [], env: Record<string, string> = {}) =>
  startMillrace(["execute", "--flow-run", id, "--url", bed.address.url, ...more], {
    home,
    env: { MILLRACE_API_TOKEN: bed.address.token, ...env },
  });

t.test(
  "a run is executed by its id and the process ends with it: 0 for Success, 1 for Failed, 4 when it is not given",
  async (t) => {
    const id = await bed.create("hello");
    const ended = await execute(id).ended;
    t.equal(ended.code, 0, ended.stderr);
    t.match(ended.stdout, /is Success/);
    t.equal((await bed.flowRun(id)).state, "Success");
    const again = await execute(id).ended;
    t.equal(again.code, 4);
    t.match(again.stderr, /FLOW_RUN_NOT_CLAIMED: .* it has ended in Success/);
    const unknown = await execute(newId()).ended;
    t.equal(unknown.code, 1);
    t.match(unknown.stderr, /FLOW_RUN_NOT_FOUND/);
    const fails = await bed.create("exits-process");
    t.equal((await execute(fails).ended).code, 1);
    t.equal((await bed.flowRun(fails)).state, "Failed");
  },
);

t.test("the flow sees what it was given, and never the token", async (t) => {
  const { flowId } = await bed.deploy("looks-at-its-place");
  const runConfig = runConfigs.local({ workingDir: home, env: { FROM_RUN: "r" } });
  const names = ["FROM_RUN", "NAMED", "NOT_NAMED"];
  const found = async (more: string[], file?: string) => {
    const id = await bed.cloud.createFlowRun({ flowId, parameters: { names }, runConfig });
    const words = [...more, ...(file === undefined ? [] : ["--token-file", file])];
    const ended = await execute(id, words, { NAMED: "n", NOT_NAMED: "x" }).ended;
    t.equal(ended.code, 0, ended.stderr);
    const line = (await bed.logs(id)).map(({ message }) => message ?? "").find((message) => message.startsWith("{"));
    return JSON.parse(line!);
  };
  t.match(await found(["--env", "NAMED"]), {
    values: { FROM_RUN: "r", NAMED: "n", NOT_NAMED: null },
    folder: home,
  });
  t.match(await found(["--whole-env", "--inline"]), { values: { FROM_RUN: "r", NOT_NAMED: "x" }, folder: home });
});

t.test("a saved flow's path is run when it is the registered one, and refused when it is another", async (t) => {
  const { savedFlow } = await bed.deploy("hello");
  const other = (await bed.deploy("sleeps")).savedFlow;
  const right = await bed.create("hello");
  t.equal((await execute(right, [savedFlow.location]).ended).code, 0);
  const wrong = await bed.create("hello");
  t.equal((await execute(wrong, [other.location]).ended).code, 1);
  t.match((await bed.flowRun(wrong)).message, /has the hash .*, which is to be run, has/);
  t.match((await bed.cloud.flowRunState(wrong))?.context, { error: { code: "SAVED_FLOW_MISMATCH" } });
  const gone = await bed.create("hello");
  t.equal((await execute(gone, [join(home, "nothing")]).ended).code, 1);
  t.match((await bed.flowRun(gone)).message, /There is no saved flow at/);
});

t.test("SIGTERM gives the run back, and a run that is being cancelled ends Cancelled", async (t) => {
  for (const isCancelled of [false, true]) {
    const id = await bed.create("sleeps");
    const process = execute(id);
    await atWork(bed, id);
    if (isCancelled) await bed.cloud.cancelFlowRun(id);
    const { code } = await process.stop("SIGTERM");
    t.equal(code, isCancelled ? 1 : 3);
    t.equal((await bed.flowRun(id)).state, isCancelled ? "Cancelled" : "Scheduled");
    await bed.cloud.cancelFlowRun(id);
  }
});

t.test("a claim of an agent's is taken over under its fence, as often as it is asked for", async (t) => {
  const { flowId } = await bed.deploy("hello");
  const flowRunId = await bed.cloud.createFlowRun({ flowId, labels: ["taken-over"] });
  const agentId = await bed.cloud.registerAgent({ type: "DockerAgent", name: "holder", labels: ["taken-over"] });
  const claim = { agentId, labels: ["taken-over"], limit: 3, leaseMs: 30_000, claimId: newId() };
  t.equal((await bed.cloud.claimRuns(claim)).runs[0]?.flowRunId, flowRunId);
  await t.rejects(executeRun({ cloud: bed.cloud, flowRunId }), { code: "FLOW_RUN_NOT_CLAIMED" });
  const run = await executeRun({ cloud: bed.cloud, flowRunId, claim: { agentId, claimId: claim.claimId } });
  t.match(run, { outcome: "ended", state: "Success", succeeded: true });
});

t.test("a LocalAgent hands a run its variables, and refuses what threads cannot do", async (t) => {
  const { flowId } = await bed.deploy("looks-at-its-place");
  const create = (runConfig: Parameters<typeof bed.cloud.createFlowRun>[0]["runConfig"]) =>
    bed.cloud.createFlowRun({ flowId, parameters: { names: ["A"] }, ...(runConfig ? { runConfig } : {}) });
  const ids = [
    await create(runConfigs.universal({ env: { A: "1" } })),
    await create(undefined),
    await create(runConfigs.docker({ image: "x" })),
    await create(runConfigs.local({ workingDir: "/srv" })),
    await create({ type: "UniversalRun", labels: null, env: { NODE_OPTIONS: "--inspect" } }),
  ];
  await bed.agent({ once: true, threads: 1 }).run();
  const texts = await Promise.all(ids.map(async (id) => (await bed.logs(id)).map(({ message }) => message).join("\n")));
  t.match(texts[0], /"A":"1"/);
  t.match(texts[1], /"A":null/, "the next run on that agent has no variable of its neighbour's");
  t.match((await bed.flowRun(ids[2]!)).message, /only `UniversalRun` and `LocalRun` are supported/);
  t.match((await bed.flowRun(ids[3]!)).message, /asks for the folder "\/srv"/);
  t.match((await bed.flowRun(ids[4]!)).message, /sets NODE_OPTIONS/);
  t.match((await bed.cloud.flowRunState(ids[2]!))?.context, { error: { code: "RUN_CONFIG_UNSUPPORTED" } });
});

t.test("run configs are checked where they are written", async (t) => {
  t.throws(() => runConfigs.docker({ memoryMb: 1 }), { code: "TASK_OPTIONS_INVALID" });
  t.throws(() => runConfigs.universal({ env: { MILLRACE_API_TOKEN: "x" } }), { code: "TASK_OPTIONS_INVALID" });
  t.throws(() => runConfigs.universal({ image: "x" } as never), /has no "image"/);
  t.throws(() => runConfigs.local({ labels: [""] }), { code: "TASK_OPTIONS_INVALID" });
  t.throws(() => envOfRun({ type: "KubernetesRun", env: null, labels: null }, ["UniversalRun", "DockerRun"]), {
    code: "RUN_CONFIG_UNSUPPORTED",
  });
  await t.rejects(
    loadVendor("no-dockerode", () => import("no-dockerode" as string), home, "DOCKER_PACKAGE_MISSING"),
    { code: "DOCKER_PACKAGE_MISSING" },
  );
});

t.test("`run --env` adds to the flow's run config for one run", async (t) => {
  await bed.deploy("hello");
  const words = ["run", "--name", "hello", "--project", "Tests", "--env", "A=1", "--json", "--url", bed.address.url];
  const asked = await millrace(words, { home, env: { MILLRACE_API_TOKEN: bed.address.token } });
  const { flowRunId } = JSON.parse(asked.stdout);
  const { flow_run_by_pk } = await bed.cloud.query<{ flow_run_by_pk: { run_config: unknown; labels: string[] } }>(
    `query($id: UUID!) { flow_run_by_pk(id: $id) { run_config labels } }`,
    { id: flowRunId },
  );
  t.match(flow_run_by_pk.run_config, { type: "UniversalRun", env: { A: "1" } });
  t.ok(flow_run_by_pk.labels.includes("hello"), "the flow's labels stand");
});

async function atWork(bed: AgentBed, id: string): Promise<void> {
  await eventually(
    async () => (await bed.taskRuns(id)).some(({ state, taskSlug }) => taskSlug === "sleep-1" && state === "Running"),
    {
      timeoutMs: 20_000,
    },
  );
}
