import t from "tap";
import { z } from "zod";
import { approval } from "../../src/core/control/approval.js";
import { pick } from "../../src/core/control/pick.js";
import { task } from "../../src/core/task.js";
import { flow } from "../../src/flow.js";
import { testFlow } from "../../src/testing/index.js";
import { build, taskOf } from "../helpers/build.js";
import { finish, knownAfter } from "./bed.js";

const echo = task("echo", (value: unknown) => value);
const version = task("version", () => "1.2");
const schema = z.object({ version: z.string(), at: z.coerce.date().optional() });

const release = flow("release", () => {
  const message = task("message", (name: string) => `Release ${name}?`)(version());
  return echo(pick(approval("release", { schema, message }), "version"));
});

t.test("an approval pauses with its message, and gives on what it was approved with", async (t) => {
  const asked: (string | null)[] = [];
  const run = await testFlow(release, {
    onPause: ({ message }) => {
      asked.push(message);
      return { input: { version: "2.0" } };
    },
  });
  t.same(asked, ["Release 1.2?"]);
  t.equal(run.output, "2.0");
  t.same(run.types("release-1"), ["Running", "Paused", "Resume", "Running", "Success"]);
});

t.test("an input that the schema refuses leaves it paused; what it converts is what comes out", async (t) => {
  const inputs = [{ version: 2 }, { version: "2", at: "2026-11-23" }];
  const messages: (string | null)[] = [];
  const run = await testFlow(
    flow("release", () => approval("release", { schema })),
    {
      onPause: ({ message }) => {
        messages.push(message);
        return { input: inputs.shift() };
      },
    },
  );
  t.match(messages, ["release", /not valid: at version: .* release$/]);
  t.same(run.output, { version: "2", at: new Date("2026-11-23") });
});

t.test("without anybody the run waits, and the next process goes on with the input", async (t) => {
  const flowOf = () => approval("release", { schema });
  const first = await finish(flowOf, {});
  t.equal(first.end.end.kind, "waiting");
  const taskRuns = knownAfter(first.recorder.reports).map((known) => ({
    ...known,
    state: { ...known.state!, type: "Resume" as const, context: { ...known.state!.context, input: { version: "3" } } },
  }));
  const second = await finish(first.flow, { taskRuns });
  t.same(second.end.output, { version: "3" });
});

t.test("an approval that nobody gives in time fails, with a schema and without", async (t) => {
  for (const options of [{ withinMs: 60_000 }, { withinMs: 60_000, schema }]) {
    const run = await testFlow(
      flow("release", () => approval("release", options)),
      { startAt: new Date("2030-01-01"), onPause: () => "wait" },
    );
    t.match(run.states("release-1").at(-1), { type: "Failed", message: 'Nobody approved "release" within 60000 ms.' });
    t.ok(run.elapsedMs >= 60_000, `${run.elapsedMs} ms`);
  }
  const inTime = await testFlow(
    flow("release", () => approval("release", { withinMs: 60_000 })),
    { onPause: () => ({ input: undefined }) },
  );
  t.equal(inTime.state.type, "Success", "approved without a word");
});

t.test("an approval is a task like others: options, and slugs by its name", async (t) => {
  const made = build("approval", () => {
    approval("release?", { options: { tags: ["people"] }, withinMs: 5 });
  });
  t.match(taskOf(made, "release?-people-1"), { options: { tags: ["people"] }, args: ["release?", 5] });
  t.throws(() => build("approval", () => void approval("")), { code: "FLOW_INVALID_NAME" });
  t.throws(() => build("approval", () => void approval("a", { withinMs: 0 })), { code: "TASK_OPTIONS_INVALID" });
  t.throws(() => build("approval", () => void approval("a", { options: { retries: -1 } })), {
    code: "TASK_OPTIONS_INVALID",
  });
});
