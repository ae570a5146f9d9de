import { join } from "node:path";
import t from "tap";
import { millrace, startMillrace } from "../helpers/command-line.js";
import { repositoryFolder } from "../helpers/source-tree.js";

const home = t.testdir({
  "fails.ts": `import { flow, task, taskContext } from "millrace";
const fails = task("fails", () => { taskContext().logger.info("before"); throw new Error("out of luck"); });
export const unlucky = flow("unlucky", () => fails());`,
  "retries.ts": `import { flow, task, taskContext } from "millrace";
const twice = task("twice", { retries: 1 }, () => { if (taskContext().runCount === 1) throw new Error("first"); return 2n; });
export const lucky = flow("lucky", () => twice());`,
  "waits.ts": `import { flow, task, taskContext } from "millrace";
const waits = task("waits", () => new Promise((_, reject) => {
  const { logger, signal } = taskContext();
  const timer = setInterval(() => logger.info("waiting"), 50);
  signal.addEventListener("abort", () => { clearInterval(timer); reject(signal.reason); });
}));
export const patient = flow("patient", () => waits());`,
  "stuck.ts": `import { flow, task } from "millrace";
const never = task("never", () => new Promise(() => {}));
export const stuck = flow("stuck", () => never());`,
  "none.ts": "export const nothing = 1;",
  "throws.ts": 'throw new Error("at the top");',
  "p.json": '{"name": "file"}',
});
const fixture = (name: string) => join(repositoryFolder, "fixtures", name);

interface Answer {
  state: string;
  output: unknown;
  taskRuns: { taskSlug: string; state: string }[];
}

t.test("a file's flow is run with no Cloud, and its states are shown", async (t) => {
  const { code, stdout } = await millrace(["run", fixture("hello.ts"), "--param", "name=Ada"], { home });
  t.equal(code, 0);
  t.match(stdout, /Success +greet-1\n/);
  t.match(stdout, /Success +shout-1\n/);
  t.match(stdout, 'Flow "hello" is Success');
  t.match(stdout, "HELLO, ADA!");
});

t.test("under --json the outcome alone is on stdout", async (t) => {
  const words = ["run", fixture("hello.ts"), "--json", "--param-file", join(home, "p.json")];
  const { code, stdout, stderr } = await millrace(words, { home });
  t.equal(code, 0);
  const answer = JSON.parse(stdout) as Answer;
  t.match(answer, { state: "Success", output: "HELLO, FILE!" });
  t.same(
    answer.taskRuns.map(({ taskSlug }) => taskSlug),
    ["name", "greet-1", "shout-1"],
  );
  t.match(stderr, "greet-1");
});

t.test("a failed run is exit code 1, with the task's error and its log in the author's lines", async (t) => {
  const { code, stdout } = await millrace(["run", join(home, "fails.ts")], { home });
  t.equal(code, 1);
  t.match(stdout, /INFO +millrace\.fails {2}before/);
  t.match(stdout, /Failed +fails-1 .*out of luck/);
  t.match(stdout, "fails.ts:2:");
});

t.test("a retried task says which try it is in; an output that JSON has no word for is still shown", async (t) => {
  const { code, stdout } = await millrace(["run", join(home, "retries.ts")], { home });
  t.equal(code, 0);
  t.match(stdout, /Retrying +twice-1 {2}try 2/);
  t.notMatch(stdout, /Running +twice-1 {2}try 2[\s\S]*Retrying/);
  t.match(stdout, 'output  "2"');
});

t.test("of a file with two flows one has to be named", async (t) => {
  const file = fixture("modules/two-flows.ts");
  const asked = await millrace(["run", file], { home });
  t.match(asked, { code: 1, stderr: /^USAGE: .*defines several flows/ });
  const [, first] = /: "([^"]+)", "/.exec(asked.stderr) ?? [];
  const { code, stdout } = await millrace(["run", file, "--name", first ?? ""], { home });
  t.equal(code, 0, stdout);
  t.match(await millrace(["run", file, "--name", "third"], { home }), {
    code: 1,
    stderr: /^FLOW_NOT_IN_MODULE: Loading ".*two-flows\.ts"/,
  });
});

t.test("a file without a flow, or one that throws, is told by its code", async (t) => {
  t.match(await millrace(["run", join(home, "none.ts")], { home }), { code: 1, stderr: /^FLOW_NOT_IN_MODULE/ });
  t.match(await millrace(["run", join(home, "throws.ts")], { home }), {
    code: 1,
    stderr: /^FLOW_LOAD_FAILED.*at the top/,
  });
});

t.test("a parameter that the flow does not know fails the run", async (t) => {
  const { code, stdout } = await millrace(["run", fixture("hello.ts"), "--param", "nme=Ada"], { home });
  t.equal(code, 1);
  t.match(stdout, 'no parameter "nme"');
});

t.test("SIGINT cancels the run", async (t) => {
  const running = startMillrace(["run", join(home, "waits.ts")], { home });
  t.teardown(() => running.stop("SIGKILL"));
  await running.printed("waiting");
  const { code, stdout } = await running.stop("SIGINT");
  t.equal(code, 1);
  t.match(stdout, 'Flow "patient" is Cancelled');
});

t.test("a flow that can never end is told so in place of ending without a word", async (t) => {
  const { code, stderr } = await millrace(["run", join(home, "stuck.ts")], { home });
  t.match({ code, stderr }, { code: 1, stderr: /^WORKER_UNCAUGHT: .*"stuck" waits for a promise/ });
});

t.test("a saved flow is run as its module is", async (t) => {
  const server = ["server", "start", "--port", "0", "--json"];
  const cloud = startMillrace(server, { home });
  t.teardown(() => cloud.stop("SIGKILL"));
  await cloud.printed("\n");
  const deploy = await millrace(["deploy", fixture("hello.ts"), "--project", "P", "--create-project", "--json"], {
    home,
  });
  const [{ savedFlow }] = JSON.parse(deploy.stdout) as [{ savedFlow: { location: string } }];
  const { code, stdout } = await millrace(["run", savedFlow.location, "--json"], { home });
  t.equal(code, 0);
  t.match(JSON.parse(stdout), { state: "Success", output: "HELLO, WORLD!" });
});
