import type { TaskFunction } from "../task.js";

const own = new WeakSet<TaskFunction>();

/**
 * A function of a task that Millrace itself places in a flow, for instance to compare a value with a branch's. `text` stands
 * for its source where flows are compared, so that a newer release does not make every deployed flow look changed.
 */
export function ownFunction<Fn extends TaskFunction>(text: string, fn: Fn): Fn {
  Object.defineProperty(fn, "toString", { value: () => text });
  own.add(fn);
  return fn;
}

/** Is it one of ours? They are too short to be worth another thread, and some reach what only the flow run's own has. */
export function isOwnFunction(fn: TaskFunction): boolean {
  return own.has(fn);
}
