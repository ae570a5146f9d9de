import { currentBuild } from "../building.js";
import { MillraceError } from "../errors.js";
import { asReference, type Ref } from "../reference.js";
import { ownFunction } from "./own-function.js";

/** What may be picked from a `T`: the places of a tuple, any place of a list, the fields of an object. */
export type PickKey<T> = T extends readonly unknown[]
  ? number extends T["length"]
    ? number
    : IndexOf<T>
  : T extends object
    ? keyof T & (string | number)
    : never;
type IndexOf<T extends readonly unknown[]> =
  Exclude<keyof T, keyof unknown[]> extends infer K ? (K extends `${infer N extends number}` ? N : never) : never;

/** What stands there; a list may be too short. */
export type Picked<T, K> = T extends readonly unknown[]
  ? number extends T["length"]
    ? T[number] | undefined
    : K extends keyof T
      ? T[K]
      : never
  : K extends keyof T
    ? T[K]
    : never;

const pickFrom = ownFunction("millrace pick", (value: unknown, key: string | number) => {
  if (value === null || value === undefined) {
    throw new MillraceError("TASK_ARGUMENT_INVALID", `pick() was to take "${key}" from ${value}.`, {
      hint: "Let the task return an object or a list.",
    });
  }
  return (value as Record<string | number, unknown>)[key];
});

/**
 * One element or field of a task's output, or several: a task of its own for each, so that what takes it waits for no more
 * than it needs to be given.
 * @throws TASK_ARGUMENT_INVALID; in a run, when the output is null or undefined
 * @example
 * const user = pick(session, "user");
 * const [rows, count] = pick(readPage(url), "rows", "count");
 * const [low, high] = pick(range(), 0, 1);
 */
export function pick<T, const K extends PickKey<T>>(from: Ref<T>, key: K): Ref<Picked<T, K>>;
export function pick<T, const K extends readonly [PickKey<T>, PickKey<T>, ...PickKey<T>[]]>(
  from: Ref<T>,
  ...keys: K
): { readonly [I in keyof K]: Ref<Picked<T, K[I]>> };
export function pick(from: Ref<unknown>, ...keys: readonly (string | number)[]): unknown {
  const build = currentBuild("pick() was called");
  const source = asReference(from, "pick()");
  const secret = source.flowTask.kind === "secret";
  const options = secret ? { checkpoint: false } : {};
  const picked = keys.map((key) => {
    if (typeof key !== "string" && typeof key !== "number") {
      throw new MillraceError("TASK_ARGUMENT_INVALID", `pick() takes names and places, and was given ${typeof key}.`, {
        hint: 'Write pick(reference, "field") or pick(reference, 0).',
      });
    }
    const name = `pick(${key})`;
    return build.addTask({ name, options, fn: pickFrom, args: [source, key], mapped: false, resetOnResume: secret });
  });
  return picked.length === 1 ? picked[0] : picked;
}
