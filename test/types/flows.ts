/* Compiled, never run: each @ts-expect-error marks a line that must not compile. */
import { z } from "zod";
import { type Flow, flow, isMillraceError, parameter, type Ref, task, taskContext, triggers } from "../../src/index.js";
import { type Equal, isTrue } from "./expect.js";

const double = task("double", (value: number) => value * 2);
const upper = task("upper", (text: string) => text.toUpperCase());

flow("parameters take their type from the schema, or the default, or the author", () => {
  const count = parameter("count", { schema: z.number().int() });
  isTrue<Equal<typeof count, Ref<number>>>();
  double(count);
  // @ts-expect-error a count is a number
  upper(count);
  const name = parameter("name", { default: "world" });
  isTrue<Equal<typeof name, Ref<string>>>();
  upper(name);
  const day = parameter<"mon" | "tue">("day");
  isTrue<Equal<typeof day, Ref<"mon" | "tue">>>();
  const plain = parameter("plain");
  isTrue<Equal<typeof plain, Ref<unknown>>>();
  // @ts-expect-error what is unknown must be said or checked first
  double(plain);
  const shape = parameter("shape", { schema: z.object({ width: z.number(), name: z.string().optional() }) });
  isTrue<Equal<typeof shape, Ref<{ width: number; name?: string | undefined }>>>();
});

flow("a default is what the schema takes, and the task gets what it gives", () => {
  const day = parameter("day", { schema: z.coerce.date(), default: "2026-11-23" });
  isTrue<Equal<typeof day, Ref<Date>>>();
  const size = parameter("size", { schema: z.string().transform(Number), default: "3" });
  isTrue<Equal<typeof size, Ref<number>>>();
  double(size);
  // @ts-expect-error the schema takes a string
  parameter("size", { schema: z.string().transform(Number), default: 3 });
  parameter("count", { schema: z.number(), default: 3 });
  // @ts-expect-error the schema takes a number
  parameter("count", { schema: z.number(), default: "3" });
});

export const described = flow("output", () => {
  const count = parameter("count", { default: 1 });
  return { doubled: double(count), list: double.map([1, 2]), fixed: "text" as const, pair: [double(1), 5] as const };
});
isTrue<Equal<typeof described, Flow<{ doubled: number; list: number[]; fixed: "text"; pair: readonly [number, 5] }>>>();
export const silent = flow("nothing comes out", { description: "quiet" }, () => {
  double(1);
});
isTrue<Equal<typeof silent, Flow<void>>>();

export async function use(): Promise<number | undefined> {
  const run = await described.run({ count: 3 });
  // @ts-expect-error parameters are an object
  await described.run("3");
  // @ts-expect-error a project has a name
  await described.deploy();
  await described.deploy("Sales", { createProject: true });
  await described.runAgent({ mode: "inline", once: true });
  // @ts-expect-error there are two modes
  await described.runAgent({ mode: "process" });
  // @ts-expect-error a run that failed has no output
  run.output.doubled.toFixed();
  isTrue<
    Equal<typeof run.output, { doubled: number; list: number[]; fixed: "text"; pair: readonly [number, 5] } | undefined>
  >();
  return run.output?.doubled;
}

task("context", (value: number) => {
  const { logger, signal, parameters, mapIndex } = taskContext();
  logger.info("value", value, parameters.count, mapIndex.toFixed(), signal.aborted);
  // @ts-expect-error the context is read-only
  taskContext().runCount = 2;
});

task("options", { trigger: triggers.anyFailed, tags: ["a"] as const }, () => 1);
// @ts-expect-error there is no such trigger
task("options", { trigger: triggers.someFailed }, () => 1);
// @ts-expect-error a trigger is not its name
task("options", { trigger: "any_failed" }, () => 1);

// A handler that only looks gives nothing, at once or later.
flow("looks", { terminalStateHandler: (state, states) => void [state.type, states.length] }, () => double(1));
flow("looks later", { terminalStateHandler: async () => {} }, () => double(1));
// @ts-expect-error it gives a state or nothing
flow("a word", { terminalStateHandler: () => "Success" }, () => double(1));

flow("building", (build) => {
  build.referenceTasks(double(1), upper("a"));
  // @ts-expect-error only references
  build.referenceTasks(double);
});

try {
  await described.save("orders.millrace");
} catch (error) {
  if (isMillraceError(error, "BUNDLE_FAILED")) error.hint?.toUpperCase();
  // @ts-expect-error there is no such code
  isMillraceError(error, "BUNDLE_BROKEN");
}
