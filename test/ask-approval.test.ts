import { PassThrough } from "node:stream";
import t from "tap";
import { approver, terminalApprover } from "../src/ask-approval.js";
import { taskContext } from "../src/core/context.js";
import { signals } from "../src/core/signal.js";
import { task } from "../src/core/task.js";
import type { PausedTaskRun } from "../src/engine/ports.js";
import { flow } from "../src/flow.js";
import { eventually } from "./helpers/eventually.js";

function terminal() {
  const input = new PassThrough();
  const output = new PassThrough();
  let text = "";
  output.on("data", (chunk) => {
    text += String(chunk);
  });
  const approve = terminalApprover({ input, output });
  return { approve, input, shown: () => text };
}

const paused = (more: Partial<PausedTaskRun> = {}): PausedTaskRun => ({
  taskRunId: "id",
  taskSlug: "pay-1",
  mapIndex: -1,
  name: "pay",
  message: "Pay it?",
  checksInput: false,
  signal: new AbortController().signal,
  ...more,
});

const answers: [typed: string, approval: unknown][] = [
  ["y", { input: undefined }],
  ["YES", { input: undefined }],
  ["n", "wait"],
  ["", "wait"],
  ['{"sum": 5}', { input: { sum: 5 } }],
  ["12", { input: 12 }],
  ['"text"', { input: "text" }],
];
for (const [typed, approval] of answers) {
  t.test(`"${typed}" typed at the terminal means ${JSON.stringify(approval)}`, async (t) => {
    const { approve, input, shown } = terminal();
    const answer = approve(paused());
    input.write(`${typed}\n`);
    t.same(await answer, approval);
    t.match(shown(), /Task "pay" is paused: Pay it\?\n {2}y to go on, n to leave it paused, or its input as JSON: /);
  });
}

t.test("what is no JSON is asked for again", async (t) => {
  const { approve, input, shown } = terminal();
  const answer = approve(paused({ checksInput: true }));
  input.write("{sum: 5}\n");
  await eventually(() => /That is not JSON\.\n {2}its input as JSON, or n/.test(shown()));
  input.write('{"sum": 5}\n');
  t.same(await answer, { input: { sum: 5 } });
});

t.test("one question is asked after the other", async (t) => {
  const { approve, input, shown } = terminal();
  const first = approve(paused());
  const second = approve(paused({ name: "send", message: null }));
  await eventually(() => /"pay"/.test(shown()));
  t.notMatch(shown(), /"send"/);
  input.write("y\n");
  await first;
  await eventually(() => /Task "send" is paused\.\n/.test(shown()));
  input.write("n\n");
  t.equal(await second, "wait");
});

t.test("input that ends, and a question that is called off, are no answers", async (t) => {
  const ended = terminal();
  ended.input.end();
  t.equal(await ended.approve(paused()), "wait");
  const off = new AbortController();
  const called = terminal();
  const answer = called.approve(paused({ signal: off.signal }));
  await eventually(() => /JSON: $/.test(called.shown()));
  off.abort();
  t.equal(await answer, "wait");
  t.equal(await called.approve(paused({ signal: off.signal })), "wait");
});

t.test("flow.run() asks its caller's function, and hands the answer to the task", async (t) => {
  const pay = task("pay", () => {
    const { resumed, resumeInput } = taskContext();
    if (!resumed) throw signals.pause("Pay it?");
    return resumeInput;
  });
  const build = flow("pay", () => pay());
  const asked: (string | null)[] = [];
  const run = await build.run(
    {},
    {
      log: () => {},
      onPause: ({ message }) => {
        asked.push(message);
        return { input: 5 };
      },
    },
  );
  t.same([run.state.type, run.output, asked], ["Success", 5, ["Pay it?"]]);
  const left = await build.run({}, { log: () => {}, onPause: () => "wait" });
  t.equal(left.state.type, "Running");
  t.equal(left.taskRuns[0]?.state.type, "Paused");
});

t.test("without a function and without a terminal there is nobody to ask", async (t) => {
  t.equal(process.stdin.isTTY ?? false, false, "tests have no terminal");
  t.equal(approver(undefined), undefined);
});
