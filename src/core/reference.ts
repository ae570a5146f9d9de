import type { MapScope } from "./control/map-scope.js";
import { MillraceError } from "./errors.js";
import type { FlowTask } from "./flow-definition.js";

declare const outputType: unique symbol;
const brand = Symbol.for("millrace.reference");
const unmappedBrand = Symbol.for("millrace.unmapped");
const flattenBrand = Symbol.for("millrace.flatten");

/** What a task call returns while a flow is being built: a promise, so to say, of the task's output `T` in each run. */
export interface Ref<T> {
  readonly [outputType]: T;
  /**
   * Lets the task start only after these too, without taking their output.
   * @example load(rows).after(createTable())
   */
  after(...upstream: readonly Ref<unknown>[]): this;
}

/** The outputs of a mapped task: passed on as they are they arrive as the whole list, mapped over again one by one. */
export interface MappedRef<T> extends Ref<T[]> {}

/** A value that every child of a mapped task gets whole. Made by {@link unmapped}. */
export interface Unmapped<V> {
  readonly [unmappedBrand]: true;
  readonly value: V;
}

/** A list of lists to be mapped over as one list. Made by {@link flatten}. */
export interface Flattened<T> extends Ref<T[]> {
  readonly [flattenBrand]: true;
}

/** What may stand where a task takes a `T`: the value, a reference to one, or an array or object holding references. */
export type Input<T> = T | Ref<T> | InputInside<T>;
type InputInside<T> = T extends (...args: never[]) => unknown
  ? never
  : T extends readonly unknown[]
    ? InputList<T>
    : T extends object
      ? { readonly [K in keyof T]: Input<T[K]> }
      : never;
/** Lists apart from tuples: TypeScript expands a mapped list at once, and would never end for a type like JSON's that holds lists of itself. */
type InputList<T extends readonly unknown[]> = number extends T["length"]
  ? readonly Input<T[number]>[]
  : { readonly [K in keyof T]: Input<T[K]> };

/** What may stand where a mapped task takes a `T`: something to map over, or {@link unmapped}. */
export type MapInput<T> = Ref<readonly T[]> | readonly Input<T>[] | Unmapped<Input<T>>;

/** A value with its references filled in: what a flow run gives for what its build function returned. */
export type Filled<T> =
  T extends Ref<infer Value>
    ? Value
    : T extends (...args: never[]) => unknown
      ? T
      : T extends readonly unknown[]
        ? { [K in keyof T]: Filled<T[K]> }
        : T extends object
          ? { [K in keyof T]: Filled<T[K]> }
          : T;

/** The runtime side of {@link Ref}. */
export interface Reference extends Ref<unknown> {
  readonly [brand]: true;
  readonly flowTask: FlowTask;
  readonly flattened: boolean;
  /** Set for what the function of an applyMap() is given: one item of the list that `flowTask` returns. */
  readonly itemIn: MapScope | undefined;
}

export function makeReference(flowTask: FlowTask, flattened = false, itemIn?: MapScope): Reference {
  const reference = {
    [brand]: true as const,
    ...(flattened ? { [flattenBrand]: true as const } : {}),
    flowTask,
    flattened,
    itemIn,
    after(...upstream: readonly Ref<unknown>[]) {
      if (itemIn) {
        throw new MillraceError(
          "TASK_ARGUMENT_INVALID",
          "after() was called on an item of applyMap(), which is no task.",
          {
            hint: "Call it on what a task returned.",
          },
        );
      }
      for (const other of upstream) flowTask.runAfter(asReference(other, "after()"));
      return reference;
    },
  } as unknown as Reference;
  return reference;
}

export function isReference(value: unknown): value is Reference {
  return typeof value === "object" && value !== null && brand in value;
}

export function isUnmapped(value: unknown): value is Unmapped<unknown> {
  return typeof value === "object" && value !== null && unmappedBrand in value;
}

export function asReference(value: unknown, where: string): Reference {
  if (isReference(value)) return value;
  throw new MillraceError(
    "TASK_ARGUMENT_INVALID",
    `${where} takes references to tasks of the flow, and was given ${typeof value}.`,
    {
      hint: "Pass what calling a task returned.",
    },
  );
}

/**
 * Hands a value whole to every child of a mapped task.
 * @example const totals = sumMonth.map(months, unmapped(rows));
 */
export function unmapped<const V>(value: V): Unmapped<V> {
  return { [unmappedBrand]: true, value };
}

/**
 * Maps over a list of lists as over one list (one level; items that are no lists stay as they are).
 * @example const lines = countWords.map(flatten(readFile.map(paths)));
 */
export function flatten<T>(lists: Ref<readonly (readonly T[])[]>): Flattened<T> {
  const reference = asReference(lists, "flatten()");
  if (reference.itemIn) {
    throw new MillraceError("TASK_ARGUMENT_INVALID", "flatten() was given an item of applyMap().", {
      hint: "Flatten the list that applyMap() goes over, or what it returns.",
    });
  }
  return makeReference(reference.flowTask, true) as unknown as Flattened<T>;
}
