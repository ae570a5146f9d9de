import { type Gathering, MapScope } from "./control/map-scope.js";
import { MillraceError } from "./errors.js";
import type { Edge, FlowDefinition, FlowOptions, FlowTask } from "./flow-definition.js";
import { inDependencyOrder } from "./graph.js";
import { taskId } from "./ids.js";
import { isJson } from "./json.js";
import { checkParameterOptions, checkSecretOptions } from "./options/check-options.js";
import type { ParameterOptions } from "./parameter.js";
import { isReference, isUnmapped, makeReference, type Ref, type Reference } from "./reference.js";
import type { SecretOptions } from "./secret.js";
import { Slugs } from "./slugs.js";
import type { TaskFunction, TaskOptions } from "./task.js";
import { references } from "./template.js";

/** What the build function is given. */
export interface Build {
  readonly flowName: string;
  /** Names the tasks whose states decide the flow run's state. Default: the tasks that nothing waits for. */
  referenceTasks(...tasks: readonly Ref<unknown>[]): void;
}

/** The author's build function. What it returns, references in it filled in, is the output of `flow.run()`. */
export type BuildFlow<Output> = (build: Build) => Output;

type MutableFlowTask = FlowTask & { upstream: Edge[] };

interface TaskCall {
  name: string;
  options: Readonly<TaskOptions>;
  fn: TaskFunction;
  args: readonly unknown[];
  mapped: boolean;
  /** See {@link FlowTask}. Default false. */
  resetOnResume?: boolean;
  cleansUp?: boolean;
}

type TaskFields = Omit<FlowTask, "id" | "upstream" | "runAfter" | "resetOnResume" | "cleansUp"> &
  Partial<Pick<FlowTask, "resetOnResume" | "cleansUp">>;

/** Gathers the calls that a build function makes into tasks and edges. */
export class FlowBuilder {
  readonly #tasks: MutableFlowTask[] = [];
  readonly #slugs: Slugs;
  /** For each task, those that `.after()` named. */
  readonly #ordered = new Map<FlowTask, Set<FlowTask>>();
  readonly #secrets = new Map<string, Reference>();
  /** The tags of the withTags() calls under way. */
  #tags: readonly string[] = [];
  /** The applyMap() under way, and those that are over. */
  #mapScope: MapScope | undefined;
  readonly #mapScopes: MapScope[] = [];
  #referenceTasks: FlowTask[] = [];
  #finished = false;
  readonly #name: string;
  readonly #options: FlowOptions;
  readonly #sourceFile: string | undefined;
  readonly authorSide: Build;

  constructor(name: string, options: FlowOptions, sourceFile: string | undefined) {
    this.#name = name;
    this.#slugs = new Slugs(name);
    this.#options = options;
    this.#sourceFile = sourceFile;
    this.authorSide = {
      flowName: name,
      referenceTasks: (...tasks) => {
        this.#referenceTasks = tasks.map((each) => this.#own(each as Reference).flowTask);
      },
    };
  }

  addTask(call: TaskCall): Reference {
    const tagged = { ...call, options: this.#withTags(call.options) };
    return this.#mapScope ? this.#addForEach(tagged, this.#mapScope) : this.#addAsCalled(tagged);
  }

  #addAsCalled({ name, options, args, mapped, ...rest }: TaskCall): Reference {
    const mappedArgs = args.map((arg) => mapped && !isUnmapped(arg));
    if (mapped && !mappedArgs.includes(true)) {
      throw new MillraceError("TASK_ARGUMENT_INVALID", `Task "${name}" is mapped over nothing.`, {
        hint: "Give .map() at least one list that is not wrapped in unmapped().",
      });
    }
    const bare = args.map((arg) => (isUnmapped(arg) ? arg.value : arg));
    mappedArgs.forEach((isMapped, index) => {
      if (isMapped && !isReference(bare[index]) && !Array.isArray(bare[index])) {
        throw new MillraceError(
          "TASK_ARGUMENT_INVALID",
          `Task "${name}": argument ${index} of .map() is ${typeof bare[index]}, not a list.`,
          {
            hint: "Wrap a value that every child gets whole in unmapped().",
          },
        );
      }
    });
    const slug = this.#slugs.next(name, options);
    return this.#add({
      ...rest,
      slug,
      name,
      kind: "task",
      options,
      parameter: undefined,
      args: bare,
      mappedArgs,
      mapped,
    });
  }

  /** A task called in the function of an applyMap(): mapped, whatever it is given. */
  #addForEach(call: TaskCall, scope: MapScope): Reference {
    const { name, options, args, mapped, ...rest } = call;
    if (mapped) {
      throw new MillraceError("TASK_ARGUMENT_INVALID", `Task "${name}" is mapped inside applyMap().`, {
        hint: "The function given to applyMap() stands for one item already: call the task as it is, or map over what applyMap() returns.",
      });
    }
    const found = args.map((arg) => {
      const argument = scope.argument(name, isUnmapped(arg) ? arg.value : arg);
      if (!("fn" in argument)) return argument;
      return { value: this.#gather(argument, scope), mapped: true };
    });
    const reference = this.#add({
      ...rest,
      slug: this.#slugs.next(name, options),
      name,
      kind: "task",
      options,
      parameter: undefined,
      args: found.map((each) => each.value),
      mappedArgs: found.map((each) => each.mapped),
      mapped: true,
    });
    scope.add(reference.flowTask);
    if (!found.some((each) => each.mapped)) reference.flowTask.runAfter(scope.itemOf(scope.list));
    return reference;
  }

  /** What holds a secret is kept in memory only. */
  #gather({ fn, args }: Gathering, scope: MapScope): Reference {
    const secret = args.some((each) => isReference(each) && each.flowTask.kind === "secret");
    const options = secret ? { checkpoint: false } : {};
    return this.#addForEach({ name: "gather", options, fn, args, mapped: false, resetOnResume: secret }, scope);
  }

  /** Calls `body`, which is part of a build function, and says which tasks it placed. */
  placedBy<T>(body: () => T): { value: T; tasks: readonly FlowTask[] } {
    const before = this.#tasks.length;
    const value = body();
    return { value, tasks: this.#tasks.slice(before).filter((each) => each.kind === "task") };
  }

  /** Adds `tags` to every task that `body` places. */
  tagging<T>(tags: readonly string[], body: () => T): T {
    const outer = this.#tags;
    this.#tags = [...outer, ...tags];
    try {
      return body();
    } finally {
      this.#tags = outer;
    }
  }

  /** Maps every task that `body` places over `list`, whose items `body` gets from the scope. */
  mapping<T>(list: Reference, body: (scope: MapScope) => T): T {
    if (this.#mapScope) {
      throw new MillraceError("TASK_ARGUMENT_INVALID", "applyMap() was called inside applyMap().", {
        hint: "Map over lists of lists with flatten(), or let a task go over the inner list.",
      });
    }
    const scope = new MapScope(this.#own(list));
    this.#mapScope = scope;
    this.#mapScopes.push(scope);
    try {
      return body(scope);
    } finally {
      this.#mapScope = undefined;
    }
  }

  #withTags(options: Readonly<TaskOptions>): Readonly<TaskOptions> {
    if (this.#tags.length === 0) return options;
    return Object.freeze({ ...options, tags: [...new Set([...this.#tags, ...(options.tags ?? [])])] });
  }

  addParameter(name: string, options: ParameterOptions<unknown>): Reference {
    if (typeof name !== "string" || name === "") {
      throw new MillraceError("FLOW_INVALID_NAME", `A parameter of flow "${this.#name}" has no name.`);
    }
    checkParameterOptions(name, options);
    checkDefault(name, options);
    if (this.#slugs.get(name)) {
      throw new MillraceError(
        "PARAMETER_DUPLICATE",
        `Flow "${this.#name}" has two parameters, or a parameter and a task, called "${name}".`,
        {
          hint: "Call parameter() once and pass its reference on.",
        },
      );
    }
    return this.#add({
      slug: name,
      name,
      kind: "parameter",
      options: {},
      fn: undefined,
      parameter: options,
      args: [],
      mappedArgs: [],
      mapped: false,
    });
  }

  addSecret(name: string, options: SecretOptions<unknown>): Reference {
    if (typeof name !== "string" || name.trim() === "") {
      throw new MillraceError("FLOW_INVALID_NAME", `A secret of flow "${this.#name}" has no name.`);
    }
    checkSecretOptions(name, options);
    const known = this.#secrets.get(name);
    if (known) return this.#sameSecret(known, options);
    const reference = this.#add({
      slug: this.#slugs.next(name, {}),
      name,
      kind: "secret",
      options: {},
      fn: undefined,
      parameter: undefined,
      secret: options,
      args: [],
      mappedArgs: [],
      mapped: false,
    });
    this.#secrets.set(name, reference);
    return reference;
  }

  #sameSecret(known: Reference, { schema }: SecretOptions<unknown>): Reference {
    const { name, secret } = known.flowTask;
    if (schema === undefined || schema === secret?.schema) return known;
    throw new MillraceError("TASK_OPTIONS_INVALID", `Flow "${this.#name}" gives the secret "${name}" two schemas.`, {
      hint: "Call secret() once and pass its reference on.",
    });
  }

  finish(output: unknown): FlowDefinition {
    for (const reference of references(output)) this.#own(reference);
    if (this.#tasks.length === 0) {
      throw new MillraceError("FLOW_EMPTY", `Flow "${this.#name}" has no tasks.`, {
        hint: "Call at least one task in its build function.",
      });
    }
    this.#finished = true;
    const tasks = inDependencyOrder(this.#name, this.#tasks);
    const edges = tasks.flatMap((each) => each.upstream);
    return {
      name: this.#name,
      options: this.#options,
      tasks,
      edges,
      referenceTasks: this.#referenceTasks,
      output,
      sourceFile: this.#sourceFile,
    };
  }

  #add(fields: TaskFields): Reference {
    const upstream: Edge[] = [];
    const flowTask: MutableFlowTask = {
      ...fields,
      id: taskId(this.#name, fields.slug),
      resetOnResume: fields.resetOnResume ?? false,
      cleansUp: fields.cleansUp ?? false,
      upstream,
      runAfter: (reference) => this.#addOrder(flowTask, this.#own(reference)),
    };
    fields.args.forEach((arg, index) => {
      for (const { reference, path } of references(arg, [String(index)])) {
        // Inside a list that is mapped over, a reference belongs to one child: it is handed on whole.
        const mapped = fields.mappedArgs[index] === true && path.length === 1;
        upstream.push({
          upstream: this.#own(reference).flowTask,
          downstream: flowTask,
          key: path.join("."),
          mapped,
          flattened: reference.flattened,
        });
      }
    });
    this.#tasks.push(flowTask);
    this.#slugs.take(flowTask);
    return makeReference(flowTask);
  }

  #addOrder(downstream: MutableFlowTask, reference: Reference): void {
    const { flowTask: upstream, flattened, itemIn } = reference;
    if (this.#finished) {
      throw new MillraceError(
        "TASK_CALLED_OUTSIDE_FLOW",
        `after() was called when flow "${this.#name}" was built already.`,
        {
          hint: "Call it inside the function given to flow().",
        },
      );
    }
    const before = this.#ordered.get(downstream) ?? new Set();
    // One edge says it: a second would be the same row for the Cloud.
    if (before.has(upstream)) return;
    this.#ordered.set(downstream, before.add(upstream));
    // Two tasks of one applyMap(): each child waits for its own upstream child.
    const mapped = itemIn !== undefined || this.#mapScopes.some((each) => each.has(downstream) && each.has(upstream));
    downstream.upstream.push({ upstream, downstream, key: null, mapped, flattened: mapped && flattened });
  }

  #own(reference: Reference): Reference {
    if (!isReference(reference)) {
      throw new MillraceError(
        "TASK_ARGUMENT_INVALID",
        `Flow "${this.#name}" was given ${typeof reference} where it takes a reference.`,
        {
          hint: "Pass what calling a task returned.",
        },
      );
    }
    if (reference.itemIn && reference.itemIn !== this.#mapScope) {
      throw new MillraceError(
        "TASK_ARGUMENT_INVALID",
        "An item of applyMap() was used outside the function it was given to.",
        {
          hint: "Outside, use the list itself, or what applyMap() returns.",
        },
      );
    }
    if (this.#slugs.get(reference.flowTask.slug) === reference.flowTask) return reference;
    throw new MillraceError(
      "REFERENCE_FOREIGN",
      `Flow "${this.#name}" uses a reference to "${reference.flowTask.slug}" of another flow.`,
      {
        hint: "Call the task inside this flow's own build function.",
      },
    );
  }
}

/** A default travels to the Cloud and to people who start runs: as JSON, or not at all. */
function checkDefault(name: string, options: ParameterOptions<unknown>): void {
  if (options.default === undefined || isJson(options.default)) return;
  throw new MillraceError("TASK_OPTIONS_INVALID", `Parameter "${name}": \`default\` must be plain JSON, and is not.`, {
    hint: "Give the text or number that stands for it, and let `schema` convert it.",
  });
}
