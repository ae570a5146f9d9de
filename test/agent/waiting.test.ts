import t from "tap";
import { deployModule } from "../../src/deploy/deploy.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { millrace } from "../helpers/command-line.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const file = new URL("../../../fixtures/waits-long.ts", import.meta.url).pathname;

async function openBed(threads = 1) {
  const bed = await openAgentBed(t, home);
  const flows = await deployModule(file, "Tests", { cloud: bed.cloud, createProject: true });
  const agent = bed.agent({ threads, labels: [...new Set(flows.flatMap(({ labels }) => labels))] });
  await agent.start();
  const create = (name: string) =>
    bed.cloud.createFlowRun({ flowId: flows.find((each) => each.flowName === name)!.flowId });
  const stateOf = async (flowRunId: string, slug: string) =>
    (await bed.taskRuns(flowRunId)).find((each) => each.taskSlug === slug)?.state;
  const count = async (flowRunId: string, message: string) =>
    (await bed.logs(flowRunId)).filter((line) => line.message === message).length;
  return { bed, create, stateOf, count };
}

t.test(
  "a long wait before a retry frees the thread: the run comes back when it is due, and finished tasks stay",
  async (t) => {
    const { bed, create, stateOf, count } = await openBed();
    const long = await create("waits long");
    await eventually(async () => (await stateOf(long, "returns-1")) === "Retrying");
    const other = await create("asks");
    await eventually(async () => (await stateOf(other, "may it?-1")) === "Paused");
    t.equal((await bed.flowRun(long)).state, "Running", "on the one thread that there is, another run came this far");
    t.equal((await bed.reached(long)).state, "Success");
    t.equal(await count(long, "opened"), 1, "a finished task is not run again");
    t.match(bed.lines.join("\n"), /waits until \d.*its thread is free meanwhile/);
  },
);

t.test("a paused run is resumed from the command line, with an input that its schema takes", async (t) => {
  const { bed, create, stateOf, count } = await openBed();
  const run = await create("asks");
  const { url, token } = bed.address;
  const resume = (...words: string[]) =>
    millrace(["resume", run, ...words, "--url", url], { home, env: { MILLRACE_API_TOKEN: token } });
  await eventually(async () => (await stateOf(run, "may it?-1")) === "Paused");
  t.match(await resume("--task", "opens-1"), { code: 1, stderr: /^TASK_RUN_NOT_PAUSED: .*\n {2}may it\?-1/ });
  t.match(await resume("--input", "no"), { code: 0, stdout: /may it\?-1 .*goes on/ });
  await eventually(async () => (await bed.taskRuns(run)).some((each) => /say yes/.test(each.message ?? "")));
  t.equal(await stateOf(run, "may it?-1"), "Paused", "what it cannot use pauses it again, with the reason");
  t.match(await resume("--input", "yes"), { code: 0 });
  t.equal((await bed.reached(run)).state, "Success");
  t.equal(await count(run, "opened"), 1);
  t.match(await resume(), { code: 1, stderr: /^TASK_RUN_NOT_PAUSED/ });
});

t.test("one of many paused children is resumed by its place; the list of them is short and harmless", async (t) => {
  const { bed, create } = await openBed();
  const run = await create("asks many");
  const { url, token } = bed.address;
  const resume = (...words: string[]) =>
    millrace(["resume", run, ...words, "--url", url], { home, env: { MILLRACE_API_TOKEN: token } });
  await eventually(async () => (await bed.taskRuns(run)).filter((each) => each.state === "Paused").length === 25);
  t.match(await resume("--task", "asks each-1[24]"), { code: 0, stdout: /asks each-1\[24\] .*goes on/ });
  const all = await resume();
  t.match(all, { code: 1, stderr: /^USAGE: 2\d tasks .* are paused:.*number 19\?\n {2}and \d more\n/s });
  t.notMatch(all.stderr, "\u001b");
});

t.test("a task that outstays its time loses its thread, is retried, and the rest of the run is kept", async (t) => {
  const { bed, create, count } = await openBed(2);
  const looping = await create("outstays in a loop");
  const run = await bed.reached(await create("outstays"));
  t.equal(run.state, "Success");
  t.equal(await count(run.flowRunId, "opened"), 1);
  t.match(
    (await bed.logs(run.flowRunId)).map((line) => line.message).join("\n"),
    /TASK_TIMED_OUT: Task "spins-1" ran longer than its timeout of 200 ms, and its code did not let go/,
  );
  t.equal((await bed.reached(looping)).state, "Success");
  t.equal(await count(looping, "it said from round one, round 2"), 1, "its place in a loop stays");
});
