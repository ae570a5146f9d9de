import {
  aim,
  type Block,
  type FlowSpec,
  isList,
  type Script,
  type Shape,
  type Step,
  type TaskSpec,
  type TriggerSpec,
} from "./spec.js";

/*
 * What the author's calls mean: each step as the plain tasks that docs/control-flow.md says it stands for. Written from that
 * page and section 3.1 of the protocol notes; it shares no line with src/core.
 */

/** A value for a task, in which tasks are named by their place. */
export type Given = { readonly task: number; readonly flat: boolean } | { readonly value: unknown } | readonly Given[];

/** What a task is mapped over. */
export type Each = { readonly task: number; readonly flat: boolean } | { readonly items: readonly Given[] };

/** What a task does when it runs. */
export type Does =
  | { readonly kind: "script"; readonly spec: Scripted }
  /** Ends with its value, or is skipped. */
  | { readonly kind: "gate"; readonly opens: (value: unknown) => boolean }
  | { readonly kind: "first" }
  | { readonly kind: "same" }
  | { readonly kind: "nothing"; readonly fails: boolean };

export interface Scripted extends Pick<TaskSpec, "retries" | "returns"> {
  readonly scripts: readonly Script[];
}

export interface PlainTask {
  readonly name: string;
  readonly over: readonly Each[];
  readonly args: readonly Given[];
  /** Tasks that it runs after, without their values. */
  readonly after: number[];
  readonly trigger: TriggerSpec | "cleans up" | "branch is done";
  readonly skipOnUpstreamSkip: boolean;
  readonly does: Does;
  readonly cached: boolean;
  /** Its value lives in one process. */
  readonly inMemory: boolean;
  readonly isCleanup: boolean;
}

export interface PlainFlow {
  readonly tasks: readonly PlainTask[];
  /** The tasks that stand in the flow's output, in order. */
  readonly output: readonly number[];
  readonly referenceTasks: readonly number[];
}

export function lower(spec: FlowSpec): PlainFlow {
  const lowering = new Lowering();
  for (const step of spec.steps) lowering.step(step);
  if (lowering.seen.length === 0) lowering.step({ kind: "parameter" });
  const { tasks, seen } = lowering;
  const chosen = spec.referenceTasks.map((each) => seen[aim(each, seen.length)!]!);
  const referenceTasks = chosen.length > 0 ? [...new Set(chosen)] : lastOf(tasks.keys(), tasks, true);
  return { tasks, output: seen, referenceTasks };
}

const holdsIn = (given: Given): number[] => {
  if (Array.isArray(given)) return given.flatMap(holdsIn);
  return "task" in given ? [given.task] : [];
};

/** The tasks whose values, as a whole, stand in arguments. */
export const valuesOf = (task: PlainTask): number[] => task.args.flatMap(holdsIn);
export const itemTasks = (given: Given | undefined): number[] => (given === undefined ? [] : holdsIn(given));

export function upstreamsOf(task: PlainTask): number[] {
  const over = task.over.flatMap((each) => ("items" in each ? each.items.flatMap(holdsIn) : [each.task]));
  return [...valuesOf(task), ...over, ...task.after];
}

/** Those of `some` that no other of them waits for. @param workOnly Clean-ups are left out, and do not count as waiting. */
function lastOf(some: Iterable<number>, tasks: readonly PlainTask[], workOnly: boolean): number[] {
  const chosen = [...some].filter((each) => !(workOnly && tasks[each]!.isCleanup));
  const waitedFor = new Set(chosen.flatMap((each) => upstreamsOf(tasks[each]!)));
  return chosen.filter((each) => !waitedFor.has(each));
}

const PLAIN = {
  ...{ over: [], args: [], trigger: { rule: "allSuccessful" } as TriggerSpec, skipOnUpstreamSkip: true },
  ...{ cached: false, inMemory: false, isCleanup: false },
};

class Lowering {
  readonly tasks: PlainTask[] = [];
  /** What the steps below may point to. */
  readonly seen: number[] = [];
  readonly #names = new Map<string, number>();
  #made = 0;

  step(step: Step): void {
    switch (step.kind) {
      case "task":
        this.seen.push(this.#task(step));
        break;
      case "parameter":
        this.#parameter();
        break;
      case "merge": {
        const of = step.of.flatMap((each) => this.#at(each) ?? []);
        if (of.length > 0) this.seen.push(this.#merge(of));
        break;
      }
      case "use":
        this.#use(step);
        break;
      default:
        this.#branches(step);
    }
  }

  #number(): number {
    this.#made += 1;
    return this.#made;
  }

  #at(pointer: number): number | undefined {
    return this.seen[aim(pointer, this.seen.length) ?? -1];
  }

  /** @param name Without its counter. */
  #add(name: string, task: Partial<PlainTask> & { does: Does }, counted = true): number {
    const counter = (this.#names.get(name) ?? 0) + 1;
    this.#names.set(name, counter);
    this.tasks.push({ ...PLAIN, after: [], ...task, name: counted ? `${name}-${counter}` : name });
    return this.tasks.length - 1;
  }

  #parameter(): void {
    const args = [{ value: 3 }];
    this.seen.push(this.#add(`p${this.#number()}`, { args, does: { kind: "same" } }, false));
  }

  #task(spec: TaskSpec): number {
    const name = `t${this.#number()}`;
    const args = spec.args.map((each) => this.#shape(each));
    const after = [...new Set(spec.after.flatMap((each) => this.#at(each) ?? []))];
    const over = spec.over.map((each): Each => {
      if ("items" in each) {
        return {
          items: each.items.map((item) =>
            "at" in item ? this.#shape({ at: item.at, flat: false }, 0) : { value: item.number },
          ),
        };
      }
      const task = this.#at(each.each);
      return task === undefined ? { items: [{ value: 1 }, { value: 2 }] } : { task, flat: each.flat };
    });
    const { trigger, skipOnUpstreamSkip, checkpoint } = spec;
    const cached = spec.cached && checkpoint;
    const does: Does = { kind: "script", spec };
    return this.#add(name, { over, args, after, trigger, skipOnUpstreamSkip, cached, inMemory: !checkpoint, does });
  }

  #shape(shape: Shape, missing = 1): Given {
    if (isList(shape)) return shape.map((each) => this.#shape(each));
    if ("number" in shape) return { value: shape.number };
    const task = this.#at(shape.at);
    return task === undefined ? { value: missing } : { task, flat: shape.flat };
  }

  #merge(of: readonly number[]): number {
    return this.#add("merge", {
      args: of.map((task) => ({ task, flat: false })),
      trigger: { rule: "notAllSkipped" },
      skipOnUpstreamSkip: false,
      does: { kind: "first" },
    });
  }

  #branches(step: Step & { kind: "when" | "switch" }): void {
    const on = this.#at(step.on);
    if (on === undefined) return;
    const { blocks } = step;
    const withOtherwise = step.kind === "switch" && step.otherwise && blocks.length > 1;
    const keys = (withOtherwise ? blocks.slice(0, -1) : blocks).map((_, key) => String(key));
    const textOf = (value: unknown) => (value === undefined || value === null ? undefined : String(value));
    const branches = blocks.map((block, at) => {
      let label = String(at);
      let opens = (value: unknown) => textOf(value) === String(at);
      if (step.kind === "when") {
        label = String(at === 0);
        opens = (value) => Boolean(value) === (at === 0);
      } else if (at === keys.length) {
        label = "otherwise";
        opens = (value) => !keys.includes(textOf(value) ?? "none");
      }
      const gate = this.#add(`case(${label})`, { args: [{ task: on, flat: false }], does: { kind: "gate", opens } });
      return this.#branch(block, gate);
    });
    if (branches.every(({ value }) => value === undefined)) return;
    const outputs = branches.map((each) => this.#outputOf(each));
    this.seen.push(outputs.length === 1 ? outputs[0]! : this.#merge(outputs));
  }

  #branch({ steps, returns }: Block, gate: number): Branch {
    const first = this.tasks.length;
    for (const step of steps) this.step(step);
    // Parameters are no part of a branch.
    const inside = this.#placedSince(first);
    this.#guard(gate, inside, inside);
    let value: Given | undefined;
    if (returns === "number") value = { value: 5 };
    else if (returns !== "nothing") {
      const task = this.#at(returns.at);
      value = task === undefined ? undefined : { task, flat: false };
    }
    return { gate, inside, value };
  }

  #placedSince(first: number): number[] {
    const made = Array.from({ length: this.tasks.length - first }, (_, at) => first + at);
    return made.filter((each) => !this.tasks[each]!.name.startsWith("p"));
  }

  /** Those of `tasks` that stand first among those inside wait for the gate. */
  #guard(gate: number, tasks: readonly number[], inside: readonly number[]): void {
    for (const each of tasks) {
      const task = this.tasks[each]!;
      const before = upstreamsOf(task).filter((upstream) => inside.includes(upstream));
      const behind = task.skipOnUpstreamSkip
        ? before.some((upstream) => this.tasks[upstream]!.skipOnUpstreamSkip)
        : before.length > 0;
      if (!behind) this.#runAfter(each, gate);
    }
  }

  #runAfter(task: number, upstream: number): void {
    const { after } = this.tasks[task]!;
    if (!after.includes(upstream)) after.push(upstream);
  }

  #outputOf({ gate, inside, value }: Branch): number {
    if (value === undefined) {
      return this.#add("branch done", {
        args: [{ task: gate, flat: false }],
        after: lastOf(inside, this.tasks, true),
        trigger: "branch is done",
        skipOnUpstreamSkip: false,
        does: { kind: "nothing", fails: false },
      });
    }
    const own = !Array.isArray(value) && "task" in value ? value.task : -1;
    if (inside.includes(own)) return own;
    const output = this.#add("branch value", { args: [value], does: { kind: "same" } });
    this.#guard(gate, [output], inside);
    return output;
  }

  #use({ args, setup, cleanup, body }: Step & { kind: "use" }): void {
    const name = `r${this.#number()}`;
    const given = args.map((each) => this.#shape(each));
    const spec: Scripted = { retries: 1, returns: "number", scripts: [setup] };
    const made = this.#add(`${name}.setup`, { args: given, inMemory: true, does: { kind: "script", spec } });
    const first = this.tasks.length;
    this.seen.push(made);
    for (const step of body) this.step(step);
    const inside = this.#placedSince(first);
    for (const each of inside) {
      const before = upstreamsOf(this.tasks[each]!);
      if (!before.some((upstream) => upstream === made || inside.includes(upstream))) this.#runAfter(each, made);
    }
    this.#add(`${name}.cleanup`, {
      args: [{ task: made, flat: false }],
      after: lastOf(inside, this.tasks, false),
      trigger: "cleans up",
      skipOnUpstreamSkip: false,
      does: { kind: "nothing", fails: cleanup === "throws" },
      isCleanup: true,
    });
  }
}

interface Branch {
  readonly gate: number;
  readonly inside: readonly number[];
  readonly value: Given | undefined;
}
