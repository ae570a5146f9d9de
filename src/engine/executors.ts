import { inTaskContext } from "../core/context.js";
import type { Executor, TaskCall } from "../core/options/executor.js";
import { hearPrints } from "./task/log-prints.js";

/** Calls each function on this thread. @param limit How many calls at once. */
export function inlineExecutor(limit: number): Executor {
  return {
    limit,
    call: callHere,
    close: () => Promise.resolve(),
  };
}

/** Calls a task's function on the thread that this is called on, where `taskContext()` finds its context. */
export function callHere({ fn, args, context, logPrints }: Omit<TaskCall, "hardStop">): unknown {
  const call = () => inTaskContext(context, () => fn(...args));
  return logPrints ? hearPrints(context.logger, call) : call();
}
