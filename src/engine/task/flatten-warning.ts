import { isSuccessful } from "../../core/state.js";
import { makeLogger } from "../logger.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";

/** Says in the log, once for each upstream, that flatten() met items that are no lists: they are handed on as they are. */
export function warnOfUnflattened(upstream: TaskRun, around: Surroundings): void {
  if (upstream.flattenWarned) return;
  upstream.flattenWarned = true;
  const items = upstream.children
    ? upstream.children.filter(({ state }) => isSuccessful(state!)).map(({ value }) => value)
    : Array.isArray(upstream.value)
      ? upstream.value
      : undefined;
  const { slug } = upstream.plan.task;
  if (items === undefined) {
    logger(around).warn(`flatten() was given the output of "${slug}", which is no list: it is handed on as it is.`);
    return;
  }
  const plain = items.reduce((sum: number, item) => sum + (Array.isArray(item) ? 0 : 1), 0);
  if (plain === 0) return;
  logger(around).warn(
    `flatten(): ${plain} of the ${items.length} items of "${slug}" are no lists: they are handed on as they are.`,
  );
}

function logger({ flow, ports, timestamps }: Surroundings) {
  return makeLogger(
    flow.name,
    null,
    () => timestamps.now(),
    (line) => ports.reporter.log(line),
  );
}
