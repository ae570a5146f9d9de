import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import t from "tap";
import { readSavedFlow } from "../../src/execute/load-saved-flow.js";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { type CommandOptions, millrace, type Running, startMillrace } from "../helpers/command-line.js";
import { eventually } from "../helpers/eventually.js";

const home = t.testdir({
  "maps.ts": `import { flow, parameter, task, taskContext } from "millrace";
const list = task("list", (n: number) => Array.from({ length: n }, (_, i) => i));
const double = task("double", { retries: 1 }, (i: number) => {
  const { logger, runCount } = taskContext();
  if (i === 3 && runCount === 1) throw new Error("three is hard");
  logger.info("doubling", i);
  return 2 * i;
});
const sum = task("sum", (all: number[]) => all.reduce((a, b) => a + b, 0));
export const maps = flow("maps", () => sum(double.map(list(parameter<number>("n", { default: 5, jsonSchema: { type: "integer", maximum: 100 } })))));`,
  "fails.ts": `import { flow, task } from "millrace";
const fails = task("fails", () => { throw new Error("out of luck"); });
export const unlucky = flow("unlucky", () => fails());`,
  "waits.ts": `import { flow, task, taskContext } from "millrace";
const waits = task("waits", () => new Promise((_, reject) => {
  const { signal } = taskContext();
  signal.addEventListener("abort", () => reject(signal.reason));
}));
export const patient = flow("patient", () => waits());`,
});
const { url, token } = await startCloudProcess(t, home);
const flows = ["maps", "unlucky", "patient"];

const json = async <T>(words: readonly string[], options: Partial<CommandOptions> = {}): Promise<T> => {
  const { stdout, stderr } = await millrace([...words, "--json"], { home, ...options });
  try {
    return JSON.parse(stdout) as T;
  } catch {
    throw new Error(`millrace ${words.join(" ")} did not answer JSON: ${stdout}${stderr}`);
  }
};

function startAgent(words: readonly string[], env: Record<string, string> = {}): Running {
  const agent = startMillrace(["agent", "start", "local", ...flows.flatMap((name) => ["-l", name]), ...words], {
    home,
    env,
  });
  t.teardown(() => agent.stop("SIGKILL"));
  return agent;
}

t.test("a project is asked for, or made on the way", async (t) => {
  const words = ["deploy", join(home, "maps.ts"), "--project", "Demo"];
  t.match(await millrace(words, { home }), {
    code: 1,
    stderr: /^PROJECT_NOT_FOUND: .*\n {2}Add --create-project, or run `millrace create project "Demo"`/,
  });
  t.match(await json(["create", "project", "Demo"]), { name: "Demo", created: true });
  t.match(await json(["create", "project", "Demo"]), { name: "Demo", created: false });
  const deployed = await millrace(words, { home });
  t.match(deployed, { code: 0, stdout: /"maps" deployed in project "Demo"\n {2}id .*\n {2}version {2}1\n {2}labels/ });
  t.match(await json(words), [{ flowName: "maps", version: 1, created: false, labels: [hostname(), "maps"].sort() }]);
  for (const file of ["fails.ts", "waits.ts"]) await json(["deploy", join(home, file), "--project", "Demo"]);
  t.match(await json(["get", "projects"]), [{ name: "Demo", flows: 3 }]);
});

t.test("flows are listed by project, by name, and every version on request", async (t) => {
  const more = ["deploy", join(home, "maps.ts"), "--project", "Other", "--create-project", "-l", "gpu"];
  t.match(await json(more), [{ version: 1, labels: [hostname(), "gpu", "maps"].sort() }]);
  t.match(await json([...more, "-l", "fast"]), [{ version: 2 }]);
  const names = async (...words: string[]) =>
    (await json<{ name: string; version: number }[]>(["get", "flows", ...words])).map(
      (row) => `${row.name} ${row.version}`,
    );
  t.same(await names("--project", "Other"), ["maps 2"]);
  t.same(await names("--project", "Other", "--all-versions"), ["maps 2", "maps 1"]);
  t.same(await names("--flow", "unlucky"), ["unlucky 1"]);
  t.same(await names("--project", "None"), []);
});

t.test("a deploy may see variables that are named, and leaves packages outside that are named", async (t) => {
  const folder = t.testdir({
    "package.json": "{}",
    "flow.ts": `import { flow, task } from "millrace";
import { place } from "odd-place";
if (process.env.DEPLOY_SAYS !== "yes") throw new Error("not told yes");
const t = task("t", () => place);
export const odd = flow("odd", () => t());`,
    node_modules: { "odd-place": { "package.json": '{"version":"1.2.3"}', "index.js": "exports.place = __dirname;" } },
  });
  const words = ["deploy", join(folder, "flow.ts"), "--project", "Demo", "--json"];
  t.match(await json(words), { error: { code: "FLOW_LOAD_FAILED", message: /not told yes/ } });
  const env = { DEPLOY_SAYS: "yes" };
  t.match(await json([...words, "--env", "DEPLOY_SAYS=no"], { env }), { error: { code: "FLOW_LOAD_FAILED" } });
  const [deployed] = await json<[{ savedFlow: { location: string } }]>(
    [...words, "--env", "DEPLOY_SAYS", "--external", "odd-place"],
    { env },
  );
  const { manifest } = await readSavedFlow(deployed.savedFlow.location);
  t.match(manifest.external, [{ name: "odd-place", version: "1.2.3" }]);
});

t.test("a run that nobody takes says which labels it waits for", async (t) => {
  const watching = startMillrace(["run", "--name", "maps", "--project", "Other", "--watch"], { home });
  t.teardown(() => watching.stop("SIGKILL"));
  await watching.printed(/waits for an agent with the labels .*gpu.*and none is there/);
  const { code, stderr } = await watching.stop("SIGINT");
  t.equal(code, 1);
  const [, flowRunId = ""] = /millrace cancel (\S+)/.exec(stderr) ?? [];
  t.match(await json(["cancel", flowRunId]), { flowRunId, state: "Cancelled" });
  t.match(await millrace(["cancel", flowRunId], { home }), { code: 0, stdout: /had ended before/ });
});

t.test("a watched run is shown to its end, and its exit code follows its state", async (t) => {
  const agent = startAgent(["--threads", "2"]);
  await agent.printed("waits for runs");
  const words = ["run", "--name", "maps", "--project", "Demo", "--watch", "--run-name", "first", "--param", "n=20"];
  const { code, stdout } = await millrace(words, { home });
  t.equal(code, 0, stdout);
  t.match(stdout, /Success +double-1 {2}20\/20 done/);
  t.match(stdout, /Success +sum-1/);
  t.match(stdout, "Flow run first is Success");

  const failed = await millrace(["run", "--name", "unlucky", "--project", "Demo", "--watch", "--json"], { home });
  t.equal(failed.code, 1);
  t.match(JSON.parse(failed.stdout), { flow: "unlucky", state: "Failed", project: "Demo", agent: "agent" });
  t.match(failed.stderr, /Failed +fails-1 .*out of luck/);
  t.match(await agent.stop("SIGTERM"), { code: 0, stderr: /is stopping/ });
});

t.test("runs, task runs, logs and agents are listed and filtered", async (t) => {
  const runs = async (...words: string[]) =>
    (await json<{ flow: string; state: string }[]>(["get", "flow-runs", ...words])).map(
      (row) => `${row.flow} ${row.state}`,
    );
  t.same(await runs("--project", "Demo"), ["unlucky Failed", "maps Success"]);
  t.same(await runs("--state", "failed"), ["unlucky Failed"]);
  t.same(await runs("--flow", "maps", "--limit", "1", "--state", "success"), ["maps Success"]);
  const taskRuns = await json<{ taskSlug: string; mapIndex: number; state: string }[]>(["get", "task-runs", "first"]);
  t.equal(taskRuns.length, 24);
  t.equal((await json<unknown[]>(["get", "task-runs", "first", "--state", "Mapped"])).length, 1);
  const logs = await json<{ message: string; level: string }[]>(["get", "logs", "first", "--limit", "500"]);
  t.equal(logs.filter(({ message }) => message.startsWith("doubling")).length, 20);
  t.equal((await json<unknown[]>(["get", "logs", "first", "--level", "error"])).length, 1);
  t.match(await json(["get", "agents"]), [
    { name: "agent", type: "LocalAgent", labels: [...flows, hostname()].sort() },
  ]);
  for (const list of ["flows", "projects", "flow-runs", "agents"]) {
    const { code, stdout } = await millrace(["get", list], { home });
    t.equal(code, 0);
    t.match(stdout, /^[A-Z]+ .* ID\n/, list);
  }
  t.match(await millrace(["get", "logs", "first"], { home }), {
    code: 0,
    stdout: /INFO +millrace\.double {2}doubling 1\n/,
  });
  t.match(await millrace(["get", "logs", "none"], { home }), { code: 1, stderr: /^FLOW_RUN_NOT_FOUND/ });
});

t.test("what the Cloud does not have is told before a run is asked for", async (t) => {
  const run = (name: string, project: string) => millrace(["run", "--name", name, "--project", project], { home });
  t.match(await run("none", "Demo"), { code: 1, stderr: /^FLOW_NOT_FOUND/ });
  t.match(await run("maps", "None"), {
    code: 1,
    stderr: /^PROJECT_NOT_FOUND: .*\n.*millrace deploy <file> --project "None" --create-project/,
  });
});

t.test("parameters that do not fit are told before there is a run", async (t) => {
  const run = (...pairs: string[]) =>
    millrace(["run", "--name", "maps", "--project", "Demo", ...pairs.flatMap((pair) => ["--param", pair])], { home });
  t.match(await run("n=many"), {
    code: 1,
    stderr:
      'PARAMETER_INVALID: A parameter of flow "maps" is not valid: "n": must be integer, found "many".\n  See the schema of "n" in the flow.',
  });
  t.match(await run("n=101"), { code: 1, stderr: /"n": must be <= 100, found 101\./ });
  t.match(await run("m=1"), {
    code: 1,
    stderr: 'PARAMETER_UNKNOWN: Flow "maps" has no parameter "m".\n  The flow declares "n".',
  });
});

t.test("a running run is cancelled, and its agent stops it", async (t) => {
  const agent = startAgent([]);
  const { flowRunId } = await json<{ flowRunId: string }>(["run", "--name", "patient", "--project", "Demo"]);
  const stateOf = async () =>
    (await json<{ flowRunId: string; state: string }[]>(["get", "flow-runs", "--flow", "patient"]))[0]?.state;
  await eventually(async () => (await stateOf()) === "Running", { everyMs: 50 });
  t.match(await json(["cancel", flowRunId]), { state: "Cancelling" });
  await eventually(async () => (await stateOf()) === "Cancelled", { everyMs: 50, timeoutMs: 20_000 });
  t.equal((await agent.stop("SIGTERM")).code, 0);
});

t.test("a second signal stops the agent at once, and its run goes back to the queue", async (t) => {
  const agent = startAgent([]);
  const { flowRunId } = await json<{ flowRunId: string }>(["run", "--name", "patient", "--project", "Demo"]);
  const stateOf = async () =>
    (await json<{ flowRunId: string; state: string }[]>(["get", "flow-runs", "--flow", "patient"]))[0]?.state;
  await eventually(async () => (await stateOf()) === "Running", { everyMs: 50 });
  agent.child.kill("SIGTERM");
  await eventually(() => agent.stderr().includes("Ask again"));
  t.equal(agent.child.exitCode, null, "it waits for its run");
  t.match(await agent.stop("SIGTERM"), { code: 0, stderr: /stops at once/ });
  t.equal(await stateOf(), "Scheduled");
  await json(["cancel", flowRunId]);
});

t.test("an agent for one round runs what is due and ends; the token stands nowhere in its process", async (t) => {
  const { flowRunId } = await json<{ flowRunId: string }>(["run", "--name", "maps", "--project", "Demo"]);
  const agent = startAgent(["--once", "--name", "once"]);
  const process = await eventually(
    () => ({
      line: readFileSync(`/proc/${agent.child.pid}/cmdline`, "utf8"),
      environment: readFileSync(`/proc/${agent.child.pid}/environ`, "utf8"),
    }),
    { message: "a look at the process" },
  ).catch(() => undefined);
  if (process) {
    t.notMatch(process.line, token);
    t.notMatch(process.environment, token);
  }
  t.match(await agent.ended, { code: 0 });
  const [run] = await json<{ flowRunId: string; state: string; agent: string }[]>(["get", "flow-runs", "--limit", "1"]);
  t.match(run, { flowRunId, state: "Success", agent: "once" });
});

t.test("an agent may have its token from the environment, which its flows do not see", async (t) => {
  const spy = t.testdir({
    "spy.ts": `import { flow, task } from "millrace";
const look = task("look", () => process.env.MILLRACE_API_TOKEN ?? process.env.GIVEN ?? "nothing");
export const spy = flow("spy", () => look());`,
  });
  await json(["deploy", join(spy, "spy.ts"), "--project", "Demo"]);
  const { flowRunId } = await json<{ flowRunId: string }>(["run", "--name", "spy", "--project", "Demo"]);
  const env = { MILLRACE_API_URL: url, MILLRACE_API_TOKEN: token };
  const elsewhere = t.testdir();
  const agent = await millrace(["agent", "start", "local", "-l", "spy", "--once", "-e", "GIVEN=given"], {
    home: elsewhere,
    env,
  });
  t.equal(agent.code, 0, agent.stderr);
  t.match(await json(["get", "flow-runs", "--limit", "1"]), [{ flowRunId, state: "Success" }]);
});
