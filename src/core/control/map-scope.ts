import { MillraceError } from "../errors.js";
import type { FlowTask } from "../flow-definition.js";
import { isReference, makeReference, type Reference } from "../reference.js";
import type { TaskFunction } from "../task.js";
import { compile, fill } from "../template.js";
import { ownFunction } from "./own-function.js";

/** What is to be placed so that an argument which holds items becomes one value for each child. */
export interface Gathering {
  readonly fn: TaskFunction;
  readonly args: readonly unknown[];
}

/**
 * The function of an applyMap() while it is called: it runs once, and stands for every item. Each task placed meanwhile is
 * mapped; what comes of the items, or of such a task, is mapped over, and all else is handed whole to every child.
 */
export class MapScope {
  /** The first list: it decides how many children a task gets that is given nothing of the items. */
  readonly list: Reference;
  readonly #tasks = new Set<FlowTask>();

  constructor(list: Reference) {
    this.list = list;
  }

  /** What stands for one item of `list` in the function. */
  itemOf(list: Reference): Reference {
    return makeReference(list.flowTask, list.flattened, this);
  }

  add(flowTask: FlowTask): void {
    this.#tasks.add(flowTask);
  }

  has(flowTask: FlowTask): boolean {
    return this.#tasks.has(flowTask);
  }

  /** Does `reference` stand for something that each child has its own of? */
  isEach(reference: Reference): boolean {
    return reference.itemIn === this || this.#tasks.has(reference.flowTask);
  }

  /** The argument as a mapped task takes it: `mapped` when it is one for each child. */
  argument(taskName: string, arg: unknown): { value: unknown; mapped: boolean } | Gathering {
    if (isReference(arg)) {
      if (!this.isEach(arg)) return { value: arg, mapped: false };
      this.#refuseFlattened(taskName, arg);
      return { value: makeReference(arg.flowTask, arg.flattened), mapped: true };
    }
    const template = compile(arg);
    if (!template.references.some((each) => this.isEach(each))) return { value: arg, mapped: false };
    const places = new Map<Reference, number>();
    for (const each of template.references) if (!places.has(each)) places.set(each, places.size);
    const fn: TaskFunction = (_shape, ...values) => template.fill((reference) => values[places.get(reference)!]);
    // The shape says which constants the value holds: two builds that differ in them are two flows.
    const shape = fill(arg, (reference) => ["reference", places.get(reference)]);
    return { fn: ownFunction("millrace gather", fn), args: [shape, ...places.keys()] };
  }

  #refuseFlattened(taskName: string, reference: Reference): void {
    if (!reference.flattened || reference.itemIn === this) return;
    throw new MillraceError(
      "TASK_ARGUMENT_INVALID",
      `Task "${taskName}" takes flatten() of a task inside applyMap().`,
      {
        hint: "Inside, each task has one value for its item. Flatten what applyMap() returns.",
      },
    );
  }
}
