import { AsyncLocalStorage } from "node:async_hooks";
import { setTimeout as wait } from "node:timers/promises";
import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { task } from "../../src/core/task.js";
import { finish } from "./bed.js";

const scope = new AsyncLocalStorage<boolean>();

/** What `run` prints to the terminal; assertions stay outside, for they print too. */
async function captured(run: () => Promise<void>): Promise<{ stdout: string; stderr: string }> {
  const texts = { stdout: "", stderr: "" };
  const restore = (["stdout", "stderr"] as const).map((name) => {
    const stream = process[name];
    const { write } = stream;
    stream.write = ((chunk: string | Uint8Array): boolean => {
      if (!scope.getStore()) return write.call(stream, chunk);
      texts[name] += typeof chunk === "string" ? chunk : Buffer.from(chunk).toString();
      return true;
    }) as typeof write;
    return () => {
      stream.write = write;
    };
  });
  try {
    await scope.run(true, run);
  } finally {
    for (const each of restore) each();
  }
  return texts;
}

t.test("what a task prints goes to the log and to the terminal", async (t) => {
  const chatty = task("chatty", { logPrints: true }, async (name: string) => {
    console.log("hello", { name });
    console.warn("careful");
    await wait(1);
    console.error("after a while");
    console.log("two\nlines");
    process.stdout.write("no end of line");
    process.stdout.write(Buffer.from(" – yet"));
    return name;
  });
  let logs: unknown[] = [];
  let output: unknown;
  const texts = await captured(async () => {
    const { recorder, end } = await finish(() => chatty("Ada"));
    logs = recorder.logs.map(({ level, message, name, taskRunId }) => [level, message, name, taskRunId]);
    output = end.output;
  });
  t.equal(output, "Ada");
  t.match(logs, [
    ["INFO", "hello { name: 'Ada' }", "millrace.chatty", /./],
    ["WARNING", "careful"],
    ["WARNING", "after a while"],
    ["INFO", "two\nlines"],
    ["INFO", "no end of line – yet"],
  ]);
  t.equal(logs.length, 5);
  t.equal(texts.stdout, "hello { name: 'Ada' }\ntwo\nlines\nno end of line – yet");
  t.equal(texts.stderr, "careful\nafter a while\n");
});

t.test("tasks that run side by side are told apart, and those that did not ask are left alone", async (t) => {
  const say = (name: string) =>
    task(name, { logPrints: name !== "quiet" }, async () => {
      for (let round = 0; round < 3; round += 1) {
        console.log(`${name} ${round}`);
        await wait(1);
      }
    });
  let logs: string[] = [];
  await captured(async () => {
    const { recorder } = await finish(() => [say("a")(), say("b")(), say("quiet")()]);
    logs = recorder.logs.map(({ name, message }) => `${name}: ${message}`);
  });
  const of = (name: string) => logs.filter((line) => line.startsWith(`millrace.${name}`));
  t.same(of("a"), ["millrace.a: a 0", "millrace.a: a 1", "millrace.a: a 2"]);
  t.equal(of("b").length, 3);
  t.same(of("quiet"), []);
});

t.test("log lines that are printed do not come back as prints", async (t) => {
  const both = task("both", { logPrints: true }, () => {
    taskContext().logger.info("a line");
    console.log("a print");
  });
  let seen: string[] = [];
  await captured(async () => {
    const lines: string[] = [];
    const { recorder } = await finish(() => both(), {
      onLog: (line) => {
        lines.push(line.message);
        process.stderr.write(`${line.message}\n`);
        queueMicrotask(() => console.log(`later: ${line.message}`));
      },
    });
    seen = recorder.logs.map(({ message }) => message);
  });
  t.same(seen, ["a line", "a print"]);
});

t.test("what is printed when the task has ended, or after it failed, is only printed", async (t) => {
  let late: Promise<void> | undefined;
  const leaves = task("leaves", { logPrints: true }, () => {
    process.stdout.write("held back");
    late = wait(5).then(() => console.log("too late"));
    throw new Error("no");
  });
  let messages: string[] = [];
  const texts = await captured(async () => {
    const { recorder } = await finish(() => leaves());
    await late;
    messages = recorder.logs.map(({ message }) => message);
  });
  t.match(messages, ["held back", /Error: no/]);
  t.equal(messages.length, 2);
  t.match(texts.stdout, "too late");
});

t.test("a text without end is told in pieces, and nothing of it is lost", async (t) => {
  const long = task("long", { logPrints: true }, () => {
    for (let part = 0; part < 30; part += 1) process.stdout.write("x".repeat(1_000));
  });
  let messages: string[] = [];
  await captured(async () => {
    const { recorder } = await finish(() => long());
    messages = recorder.logs.map(({ message }) => message);
  });
  t.ok(messages.length > 2 && messages.length < 10, `${messages.length}`);
  t.equal(messages.join("").length, 30_000);
});
