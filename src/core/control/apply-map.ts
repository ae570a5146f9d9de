import { currentBuild } from "../building.js";
import { MillraceError } from "../errors.js";
import type { FlowBuilder } from "../flow-builder.js";
import {
  type Filled,
  isReference,
  isUnmapped,
  type MappedRef,
  type Ref,
  type Reference,
  type Unmapped,
} from "../reference.js";
import { references } from "../template.js";
import { callNow } from "./branches.js";
import type { MapScope } from "./map-scope.js";
import { ownFunction } from "./own-function.js";

/** What applyMap() goes over: a list, or a value that each call of the function is to have whole. */
export type MapSource = Ref<readonly unknown[]> | readonly unknown[] | Unmapped<unknown>;

/** What the function of applyMap() is given for a source. */
export type ItemOf<S> =
  S extends Unmapped<infer V>
    ? V
    : S extends Ref<infer List>
      ? Ref<List extends readonly (infer T)[] ? T : never>
      : S extends readonly (infer T)[]
        ? Ref<Filled<T>>
        : never;

/** What the function returned, with a list of all items' outputs for each reference. */
export type Mapped<R> =
  R extends Ref<infer T>
    ? MappedRef<T>
    : R extends readonly unknown[]
      ? { [K in keyof R]: Mapped<R[K]> }
      : R extends object
        ? { [K in keyof R]: Mapped<R[K]> }
        : R;

const sameList = ownFunction("millrace list", (list: unknown) => list);

/**
 * Maps a function that calls several tasks over lists: every task that it calls becomes a mapped one, whose child `i` gets
 * what comes of item `i`. The function is called once, while the flow is built. An item goes through all tasks without
 * waiting for the others; `when()`, `switchOn()` and `after()` inside decide for each item by itself.
 *
 * The shortest list decides how many there are. A value in `unmapped()` is handed to the function as it is. A task inside
 * that is given nothing of the items runs once for each all the same.
 * @returns What the function returned, each reference in it standing for the list of all outputs.
 * @throws TASK_ARGUMENT_INVALID when something inside is mapped, when there is nothing to map over, or when the function
 * returns what no task inside made
 * @example
 * const sizes = applyMap((url) => {
 *   const page = fetchPage(url);
 *   return when(isLarge(page), () => summarize(page), () => page);
 * }, urls());
 */
export function applyMap<const S extends readonly [MapSource, ...MapSource[]], R>(
  fn: (...items: { [K in keyof S]: ItemOf<S[K]> }) => R,
  ...over: S
): Mapped<R>;
export function applyMap(fn: (...items: unknown[]) => unknown, ...over: readonly unknown[]): unknown {
  const build = currentBuild("applyMap() was called");
  const sources = over.map((each) => sourceOf(each, build));
  const first = sources.find((each) => each.list !== undefined)?.list;
  if (!first) {
    throw new MillraceError("TASK_ARGUMENT_INVALID", "applyMap() is mapped over nothing.", {
      hint: "Give it at least one list that is not wrapped in unmapped().",
    });
  }
  return build.mapping(first, (scope) => {
    const items = sources.map(({ list, whole }) => (list ? scope.itemOf(list) : whole));
    const output = callNow("applyMap()", () => fn(...items));
    checkOutput(output, scope);
    return output;
  });
}

/** A list that the author wrote becomes a task of its own: every task inside is mapped over the same one. */
function sourceOf(given: unknown, build: FlowBuilder): { list?: Reference; whole?: unknown } {
  if (isUnmapped(given)) return { whole: given.value };
  if (isReference(given)) return { list: given };
  if (!Array.isArray(given)) {
    throw new MillraceError("TASK_ARGUMENT_INVALID", `applyMap() was given ${typeof given} where it takes a list.`, {
      hint: "Wrap a value that is the same for all items in unmapped().",
    });
  }
  return { list: build.addTask({ name: "list", options: {}, fn: sameList, args: [given], mapped: false }) };
}

/** Only what a task inside made is a list of outputs afterwards. */
function checkOutput(output: unknown, scope: MapScope): void {
  const found = references(output);
  if (output === undefined || (found.length > 0 && found.every((each) => scope.has(each.flowTask) && !each.itemIn)))
    return;
  throw new MillraceError(
    "TASK_ARGUMENT_INVALID",
    "The function given to applyMap() returned what no task inside it made.",
    {
      hint: "Return what a task called inside returned, or an array or object of such references, or nothing.",
    },
  );
}
