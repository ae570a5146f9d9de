import type { Script, TaskSpec } from "./spec.js";

/* What the functions of random flows return, for the flow itself and for the model of it. */

export const SUCCESS_VALUE = 77;
export const FAIL_VALUE = [8, 9];
export const TRIGGER_VALUE = 66;
/** The message of an error that is not worth a retry where the task says so. */
export const FOR_GOOD = "for good";

/** How many tries of a round are set back: for good where there are not enough retries. */
export function setbacksOf({ setback, setbacks }: Script, retries: number): number {
  return setback !== "asks for a retry" && setbacks > retries ? Number.POSITIVE_INFINITY : setbacks;
}

/** The value of one round of a task's function. */
export function returnOf(
  { returns }: Pick<TaskSpec, "returns">,
  args: readonly unknown[],
  loopCount: number,
  loopResult: unknown,
): unknown {
  const weight = weigh([args, loopCount, loopResult]);
  if (returns === "undefined") return undefined;
  if (returns === "null") return null;
  if (returns === "number") return weight;
  if (returns === "choice") return weight % 4;
  // 0 stands for an item that is no list.
  return returns.map((length, at) =>
    length === 0 ? weight + at : Array.from({ length }, (_, inner) => weight + inner),
  );
}

/** A number for any value, its order and nesting included. */
function weigh(value: unknown): number {
  if (typeof value === "number") return value;
  if (value === undefined) return 7;
  if (value === null) return 11;
  if (typeof value !== "object") return 13;
  const items = Array.isArray(value) ? value : Object.values(value);
  return items.reduce<number>((sum, item, at) => (sum * 31 + (at + 1) * weigh(item) + 17) % 100_003, items.length);
}
