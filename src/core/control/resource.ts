import { currentBuild } from "../building.js";
import { MillraceError } from "../errors.js";
import type { FlowTask } from "../flow-definition.js";
import { checkTaskOptions } from "../options/check-options.js";
import { type Input, makeReference, type Ref } from "../reference.js";
import type { TaskFunction, TaskOptions } from "../task.js";
import { triggers } from "../trigger.js";
import { callNow } from "./branches.js";

/** How a resource is made and given back. */
export interface ResourceOptions<Setup, R> {
  /** Makes it; what it returns is handed to the tasks, and kept in memory only. */
  setup: Setup;
  /** Gives it back; called once the tasks that use it are finished, however they ended. */
  cleanup: (resource: R) => unknown;
  /** Options of the task that sets it up, for instance `retries`. */
  setupOptions?: TaskOptions;
  /** Options of the task that cleans up. Its trigger is its own. */
  cleanupOptions?: TaskOptions;
}

/** What a set-up gives. */
export type ResourceOf<Setup> = Setup extends (...args: infer _Args) => infer R ? Awaited<R> : never;

/** A kind of resource: called with the arguments of its set-up, it is one to {@link use}. */
export type Resource<Setup> = Setup extends (...args: infer Args) => infer R
  ? (...args: { [K in keyof Args]: Input<Args[K]> }) => ResourceCall<Awaited<R>>
  : never;

declare const resourceType: unique symbol;

/** A resource with its arguments, not yet in a flow. Pass it to {@link use}. */
export interface ResourceCall<R> {
  readonly [resourceType]?: R;
  readonly resourceName: string;
  readonly args: readonly unknown[];
  readonly options: Readonly<ResourceOptions<TaskFunction, never>>;
}

// biome-ignore lint/complexity/noBannedTypes: as for task(), so that parameters with a default keep their types.
type Callable = Function;

/**
 * A thing that tasks need for a while and that must be given back: a connection, a temporary folder, a rented machine.
 * In a flow it takes two tasks, `name.setup` and `name.cleanup`.
 *
 * Its value stays in memory: it need not be serializable, and a run that resumes elsewhere sets it up again. Under
 * `executors.threads()` a task that takes it needs the option `inline`.
 * @throws TASK_OPTIONS_INVALID
 * @example
 * const folder = resource("folder", {
 *   setup: () => mkdtemp(join(tmpdir(), "report-")),
 *   cleanup: (path) => rm(path, { recursive: true }),
 * });
 * flow("report", () => use(folder(), (path) => send(render(path))));
 */
export function resource<Setup extends Callable>(
  name: string,
  options: ResourceOptions<Setup, ResourceOf<Setup>>,
): Resource<Setup> {
  if (typeof name !== "string" || name.trim() === "") {
    throw new MillraceError("FLOW_INVALID_NAME", "resource() takes a name that is not empty.");
  }
  for (const part of ["setup", "cleanup"] as const) {
    if (typeof options?.[part] === "function") continue;
    throw new MillraceError("TASK_OPTIONS_INVALID", `Resource "${name}" has no function \`${part}\`.`, {
      hint: 'Write resource("name", { setup: () => …, cleanup: (resource) => … }).',
    });
  }
  checkTaskOptions(`${name}.setup`, options.setupOptions ?? {});
  checkTaskOptions(`${name}.cleanup`, options.cleanupOptions ?? {});
  const kept = Object.freeze({ ...options }) as unknown as ResourceCall<unknown>["options"];
  const call = (...args: unknown[]) => Object.freeze({ resourceName: name, args, options: kept });
  return call as unknown as Resource<Setup>;
}

/**
 * Sets a resource up for the tasks that `body` calls, and cleans up when they are finished: whether they succeeded, failed
 * or were skipped, but not when the set-up did not succeed. The clean-up has no say in the flow run's state.
 *
 * A run that is cancelled cleans up as well, for 2.5 s at most. One that waits for a person is given back, and cleans up
 * before: whoever goes on with it sets up anew. When the process dies, nothing cleans up.
 * @returns what `body` returns
 * @throws TASK_ARGUMENT_INVALID, FLOW_BUILD_FAILED when `body` is async
 * @example
 * const total = use(database(url), (connection) => sum(readRows(connection, "orders")));
 */
export function use<R, T>(call: ResourceCall<R>, body: (resource: Ref<R>) => T): T {
  const build = currentBuild("use() was called");
  if (typeof call !== "object" || call === null || !("resourceName" in call)) {
    throw new MillraceError("TASK_ARGUMENT_INVALID", `use() was given ${typeof call} where it takes a resource.`, {
      hint: "Call the resource with the arguments of its set-up: use(database(url), (connection) => …).",
    });
  }
  const { resourceName, args, options } = call;
  const setup = build.addTask({
    name: `${resourceName}.setup`,
    options: { ...options.setupOptions, checkpoint: false },
    fn: options.setup,
    args,
    mapped: false,
    resetOnResume: true,
  });
  const { value, tasks } = build.placedBy(() => callNow("use()", () => body(setup as unknown as Ref<R>)));
  const inside = new Set(tasks);
  for (const task of tasks) {
    const upstream = task.upstream.map((edge) => edge.upstream);
    if (!upstream.some((each) => inside.has(each) || each === setup.flowTask)) task.runAfter(setup);
  }
  const cleanup = build.addTask({
    name: `${resourceName}.cleanup`,
    options: { ...options.cleanupOptions, trigger: triggers.resourceCleanup, skipOnUpstreamSkip: false },
    fn: options.cleanup as TaskFunction,
    args: [setup],
    mapped: false,
    cleansUp: true,
  });
  for (const task of lastTasks(tasks)) cleanup.flowTask.runAfter(makeReference(task));
  return value;
}

/** Those that no other of them waits for: the clean-up of a resource inside another's block is one. */
function lastTasks(tasks: readonly FlowTask[]): FlowTask[] {
  const waitedFor = new Set(tasks.flatMap((each) => each.upstream.map((edge) => edge.upstream)));
  return tasks.filter((each) => !waitedFor.has(each));
}
