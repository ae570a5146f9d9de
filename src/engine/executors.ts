import { inTaskContext } from "../core/context.js";
import type { Executor } from "../core/executor.js";

/** Calls each function on this thread. @param limit How many calls at once. */
export function inlineExecutor(limit: number): Executor {
  return {
    limit,
    call: ({ fn, args, context }) => inTaskContext(context, () => fn(...args)),
    close: () => Promise.resolve(),
  };
}
