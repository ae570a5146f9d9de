import type { Reference } from "../../core/reference.js";
import { fillArguments } from "./fill-arguments.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";

/**
 * A task's arguments as they may be told of: in the place and name of a result, and in the hashes of a cache. Each secret
 * stands there by its name, so a new value of it is no new input. The very list that was given when it holds no secret.
 */
export function toldArguments(run: TaskRun, args: readonly unknown[], around: Surroundings): readonly unknown[] {
  const takesSecrets = run.plan.task.upstream.some((edge) => edge.key !== null && edge.upstream.kind === "secret");
  if (!takesSecrets || args.length === 0) return args;
  const read = (reference: Reference): unknown =>
    reference.flowTask.kind === "secret" ? secretMark(reference.flowTask.name) : around.readReference(reference);
  const told = fillArguments(run, around.tasks, read, true);
  run.plan.args.forEach((arg, at) => {
    const upstream = arg.kind === "each" ? around.tasks[arg.upstream] : undefined;
    if (upstream?.plan.task.kind === "secret") told[at] = secretMark(upstream.plan.task.name);
  });
  return told;
}

/** No text, so that no template can make a name of it. */
const secretMark = (name: string) => ({ secret: name });
