import type { FlowDefinition, FlowTask } from "../core/flow-definition.js";
import { terminalTasks } from "../core/graph.js";
import { isReference, type Reference } from "../core/reference.js";
import { compile, type Template } from "../core/template.js";

/** What a task's argument is made of. */
export type ArgumentPlan =
  /** One value for the task, or the same one for every child of a mapped task. */
  | { readonly kind: "whole"; readonly template: Template }
  /** Mapped over another task's output: item i for child i. */
  | { readonly kind: "each"; readonly upstream: number; readonly flattened: boolean }
  /** Mapped over a list that the author wrote: item i for child i. */
  | { readonly kind: "items"; readonly templates: readonly Template[] };

/** A task with all that can be known of it before a run. Tasks are named by their place in the flow's order. */
export interface PlannedTask {
  readonly task: FlowTask;
  readonly index: number;
  /** The function's arguments; behind them what is mapped over for the sake of order alone. */
  readonly args: readonly ArgumentPlan[];
  /** Upstreams that the task, or every child of it, stands under as a whole. */
  readonly wholeUpstreams: readonly number[];
  /** Those of them whose values stand in arguments. */
  readonly valueUpstreams: readonly number[];
  /** For each child of a mapped task, the upstreams of its own item of a literal list; undefined when there are none. */
  readonly itemUpstreams: readonly (readonly number[])[] | undefined;
  /** May a child of a mapped task stand under one upstream more than once? */
  readonly repeatsUpstreams: boolean;
  /** Has it a mapped argument that is flattened? */
  readonly flattens: boolean;
  /** Where a sequential run takes it up: its index, or the first one's of the chain of maps that it continues. */
  readonly place: number;
  /** How many events below it waits for. */
  readonly waitsFor: number;
  /** The tasks to tell when this one's state, as a mapped parent, is known. */
  readonly onDecided: readonly number[];
  /** The tasks to tell when this one and all its children are finished. */
  readonly onComplete: readonly number[];
  /** The mapped tasks of which single children, by their own item of a literal list, wait for this one. */
  readonly inItemsOf: readonly number[];
}

export interface FlowPlan {
  readonly tasks: readonly PlannedTask[];
  readonly indexOf: ReadonlyMap<FlowTask, number>;
  /** The tasks whose states decide the flow run's. */
  readonly referenceTasks: readonly number[];
  readonly output: Template;
}

type OpenPlan = PlannedTask & {
  place: number;
  waitsFor: number;
  onDecided: number[];
  onComplete: number[];
  inItemsOf: number[];
};

const plans = new WeakMap<FlowDefinition, FlowPlan>();

/** The flow's plan, made at its first run and kept as long as the flow. */
export function planOf(flow: FlowDefinition): FlowPlan {
  let plan = plans.get(flow);
  if (!plan) {
    plan = makePlan(flow);
    plans.set(flow, plan);
  }
  return plan;
}

function makePlan(flow: FlowDefinition): FlowPlan {
  const indexOf = new Map(flow.tasks.map((task, index) => [task, index]));
  const tasks: OpenPlan[] = flow.tasks.map((task, index) => planTask(task, index, indexOf));
  for (const each of tasks) {
    const complete = new Set(each.wholeUpstreams);
    for (const arg of each.args) if (arg.kind === "each" && arg.flattened) complete.add(arg.upstream);
    const decided = new Set<number>();
    for (const arg of each.args) if (arg.kind === "each" && !complete.has(arg.upstream)) decided.add(arg.upstream);
    for (const upstream of complete) tasks[upstream]!.onComplete.push(each.index);
    for (const upstream of decided) tasks[upstream]!.onDecided.push(each.index);
    for (const upstream of new Set(each.itemUpstreams?.flat())) tasks[upstream]!.inItemsOf.push(each.index);
    each.waitsFor = complete.size + decided.size;
    each.place = Math.min(each.index, ...[...decided].map((upstream) => tasks[upstream]!.place));
  }
  const referenceTasks = flow.referenceTasks.length > 0 ? flow.referenceTasks : terminalTasks(flow.tasks);
  return {
    tasks,
    indexOf,
    referenceTasks: [...new Set(referenceTasks.map((task) => indexOf.get(task)!))],
    output: compile(flow.output),
  };
}

function planTask(task: FlowTask, index: number, indexOf: ReadonlyMap<FlowTask, number>): OpenPlan {
  const args = task.args.map((arg, at) => planArgument(arg, task.mappedArgs[at] === true, indexOf));
  const indices = (found: readonly Reference[]) => found.map((each) => indexOf.get(each.flowTask)!);
  const values = args.flatMap((arg) => (arg.kind === "whole" ? indices(arg.template.references) : []));
  const orders = task.upstream.filter((edge) => edge.key === null);
  const order = orders.filter((edge) => !edge.mapped).map((edge) => indexOf.get(edge.upstream)!);
  const orderOfEach = orders.flatMap(({ upstream, mapped, flattened }): ArgumentPlan[] =>
    mapped ? [{ kind: "each", upstream: indexOf.get(upstream)!, flattened }] : [],
  );
  const itemUpstreams: number[][] = [];
  for (const arg of args) {
    if (arg.kind !== "items") continue;
    arg.templates.forEach((template, item) => {
      if (template.references.length > 0)
        itemUpstreams[item] = [...(itemUpstreams[item] ?? []), ...indices(template.references)];
    });
  }
  const all = [...args, ...orderOfEach];
  const wholeUpstreams = [...new Set([...values, ...order])];
  const each = all.flatMap((arg) => (arg.kind === "each" ? [arg.upstream] : []));
  const ofChildren = [...wholeUpstreams, ...each, ...new Set(itemUpstreams.flat())];
  return {
    task,
    index,
    args: all,
    wholeUpstreams,
    repeatsUpstreams: new Set(ofChildren).size < ofChildren.length,
    valueUpstreams: [...new Set(values)],
    itemUpstreams: itemUpstreams.length > 0 ? Array.from(itemUpstreams, (each) => [...new Set(each ?? [])]) : undefined,
    flattens: all.some((arg) => arg.kind === "each" && arg.flattened),
    place: index,
    waitsFor: 0,
    onDecided: [],
    onComplete: [],
    inItemsOf: [],
  };
}

function planArgument(arg: unknown, mapped: boolean, indexOf: ReadonlyMap<FlowTask, number>): ArgumentPlan {
  if (!mapped) return { kind: "whole", template: compile(arg) };
  if (isReference(arg)) return { kind: "each", upstream: indexOf.get(arg.flowTask)!, flattened: arg.flattened };
  // The build takes nothing but references and lists here.
  return { kind: "items", templates: (arg as readonly unknown[]).map((item) => compile(item)) };
}
