import { taskContext } from "../../../src/core/context.js";
import { merge, switchOn, when } from "../../../src/core/control/control-flow.js";
import { resource, use } from "../../../src/core/control/resource.js";
import type { FlowDefinition } from "../../../src/core/flow-definition.js";
import { cacheValidators } from "../../../src/core/options/cache-validator.js";
import { parameter } from "../../../src/core/parameter.js";
import { flatten, type Ref, unmapped } from "../../../src/core/reference.js";
import { signals } from "../../../src/core/signal.js";
import { type Task, type TaskOptions, task } from "../../../src/core/task.js";
import { type Trigger, triggers } from "../../../src/core/trigger.js";
import { define, type FakeClock } from "../bed.js";
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
import { FAIL_VALUE, FOR_GOOD, returnOf, SUCCESS_VALUE, setbacksOf, TRIGGER_VALUE } from "./values.js";

/** Long enough for every delay of a script. */
const TIMEOUT_MS = 1_000;

/** Told of each call of a task's function. */
export interface Watcher {
  started(taskSlug: string, mapIndex: number, signal: AbortSignal): void;
  ended(taskSlug: string, mapIndex: number): void;
}

/** The real flow, made by the author's calls. Its output is the list of all tasks' values. */
export function toFlow(spec: FlowSpec, clock: FakeClock, watcher: Watcher): FlowDefinition {
  return define((build) => {
    const builder = new Builder(clock, watcher);
    for (const step of spec.steps) builder.place(step);
    const { refs } = builder;
    const chosen = spec.referenceTasks.flatMap((each) => refs[aim(each, refs.length) ?? -1] ?? []);
    if (chosen.length > 0) build.referenceTasks(...chosen);
    // A flow needs a task.
    if (refs.length === 0) builder.place({ kind: "parameter" });
    return refs;
  });
}

// biome-ignore lint/suspicious/noExplicitAny: a random task takes any arguments.
type AnyRef = Ref<any>;

class Builder {
  readonly refs: AnyRef[] = [];
  readonly #clock: FakeClock;
  readonly #watcher: Watcher;
  #made = 0;

  constructor(clock: FakeClock, watcher: Watcher) {
    this.#clock = clock;
    this.#watcher = watcher;
  }

  place(step: Step): void {
    switch (step.kind) {
      case "task":
        this.#keep(this.#placeTask(step));
        break;
      case "parameter":
        this.#keep(parameter(`p${this.#next()}`, { default: 3 }));
        break;
      case "merge":
        this.#placeMerge(step.of.flatMap((each) => this.#at(each) ?? []));
        break;
      case "use":
        this.#placeUse(step);
        break;
      default:
        this.#placeBranches(step);
    }
  }

  #next(): number {
    this.#made += 1;
    return this.#made;
  }

  #keep(ref: AnyRef | undefined): void {
    if (ref !== undefined) this.refs.push(ref);
  }

  #at(pointer: number): AnyRef | undefined {
    return this.refs[aim(pointer, this.refs.length) ?? -1];
  }

  #placeMerge(of: AnyRef[]): void {
    const [first, ...others] = of;
    if (first) this.#keep(merge(first, ...others));
  }

  #placeTask(spec: TaskSpec): AnyRef {
    const options = optionsOf(spec);
    const fn = this.#perform(spec, (mapIndex) => spec.scripts[(mapIndex + 1) % spec.scripts.length]!);
    // biome-ignore lint/suspicious/noExplicitAny: see AnyRef.
    const made = task(`t${this.#next()}`, options, fn) as unknown as Task<any[], unknown>;
    const args = spec.args.map((each) => this.#shape(each));
    const after = spec.after.flatMap((each) => this.#at(each) ?? []);
    if (spec.over.length === 0) return made(...args).after(...after);
    const lists = spec.over.map((each) => {
      if ("items" in each) return each.items.map((item) => ("at" in item ? (this.#at(item.at) ?? 0) : item.number));
      const over = this.#at(each.each);
      if (over === undefined) return [1, 2];
      return each.flat ? flatten(over) : over;
    });
    return made.map(...lists, ...args.map((each) => unmapped(each))).after(...after);
  }

  // biome-ignore lint/suspicious/noExplicitAny: see AnyRef.
  #shape(shape: Shape): any {
    if (isList(shape)) return { list: shape.map((each) => this.#shape(each)) };
    if ("number" in shape) return shape.number;
    const ref = this.#at(shape.at);
    if (ref === undefined) return 1;
    return shape.flat ? flatten(ref) : ref;
  }

  #placeBranches(step: Step & { kind: "when" | "switch" }): void {
    const on = this.#at(step.on);
    if (on === undefined) return;
    const bodies = step.blocks.map((each) => () => this.#block(each));
    const [first, second] = bodies;
    if (step.kind === "when") {
      this.#keep((second ? when(on, first!, second) : when(on, first!)) as AnyRef | undefined);
      return;
    }
    const otherwise = step.otherwise && bodies.length > 1 ? bodies.pop() : undefined;
    const cases = Object.fromEntries(bodies.map((body, key) => [String(key), body])) as Record<never, () => unknown>;
    this.#keep((otherwise ? switchOn(on, cases, otherwise) : switchOn(on, cases)) as AnyRef | undefined);
  }

  #block({ steps, returns }: Block): unknown {
    for (const step of steps) this.place(step);
    if (returns === "nothing") return undefined;
    return returns === "number" ? 5 : this.#at(returns.at);
  }

  #placeUse(step: Step & { kind: "use" }): void {
    const name = `r${this.#next()}`;
    const cleanup = () => {
      this.#start();
      this.#finish();
      if (step.cleanup === "throws") throw new Error("not cleaned");
    };
    const setup = this.#perform({ retries: 1, retriesFinal: true, returns: "number" }, () => step.setup);
    const options = { retries: 1, timeoutMs: TIMEOUT_MS };
    const made = resource(name, { setup, cleanup, setupOptions: options });
    const call = (made as (...args: unknown[]) => ReturnType<typeof made>)(
      ...step.args.map((each) => this.#shape(each)),
    );
    use(call as Parameters<typeof use>[0], (ref) => {
      this.#keep(ref);
      for (const each of step.body) this.place(each);
    });
  }

  #start(): void {
    const { taskSlug, mapIndex, signal } = taskContext();
    this.#watcher.started(taskSlug, mapIndex, signal);
  }

  #finish(): void {
    const { taskSlug, mapIndex } = taskContext();
    this.#watcher.ended(taskSlug, mapIndex);
  }

  /** The function of a task, told by its script. */
  #perform(spec: Pick<TaskSpec, "retries" | "retriesFinal" | "returns">, scriptOf: (mapIndex: number) => Script) {
    return (...args: unknown[]): unknown => {
      const { mapIndex, signal } = taskContext();
      this.#start();
      const script = scriptOf(mapIndex);
      const act = () => {
        let hangs = false;
        try {
          const end = nextMove(spec, script, args);
          hangs = end === HANGS;
          return hangs ? new Promise(() => {}) : end;
        } finally {
          if (!hangs) this.#finish();
        }
      };
      return script.delayMs === 0 ? act() : this.#clock.sleep(script.delayMs, signal).then(act);
    };
  }
}

const HANGS = Symbol("hangs");

/** What this try does: what is returned or thrown, or HANGS. */
function nextMove(spec: Pick<TaskSpec, "retries" | "returns">, script: Script, args: readonly unknown[]): unknown {
  const { runCount, loopCount, loopResult, resumed } = taskContext();
  if (script.pause !== undefined && !resumed) {
    throw signals.pause("wait", script.pause === "for someone" ? {} : { forMs: script.pause });
  }
  if (runCount <= setbacksOf(script, spec.retries)) return setBack(script);
  const value = returnOf(spec, args, loopCount, loopResult);
  if (loopCount <= script.rounds) return deliver(script, signals.loop(value));
  return endWith(script, value);
}

function setBack({ setback, delivery }: Script): unknown {
  switch (setback) {
    case "throws":
      throw new Error("set back");
    case "rejects":
      return Promise.reject(new Error("set back"));
    case "hangs":
      return HANGS;
    case "fails":
      return deliver({ delivery }, signals.fail("set back"));
    case "asks for a retry":
      return deliver({ delivery }, signals.retry({ delayMs: 10 }));
  }
}

function endWith(script: Script, value: unknown): unknown {
  switch (script.final) {
    case "throws":
      throw new Error(FOR_GOOD);
    case "hangs":
      return HANGS;
    case "skips":
      return deliver(script, signals.skip());
    case "fails":
      return deliver(script, signals.fail(FOR_GOOD));
    case "fails with a value":
      return deliver(script, signals.fail(FOR_GOOD, FAIL_VALUE));
    case "succeeds":
      return deliver(script, signals.success(SUCCESS_VALUE));
    case "is not valid":
      return deliver(script, signals.validationFail());
    case "fails its trigger":
      return deliver(script, signals.triggerFail());
    default:
      return value;
  }
}

function deliver({ delivery }: Pick<Script, "delivery">, signal: unknown): unknown {
  if (delivery === "returned") return signal;
  throw delivery === "thrown" ? signal : new Error("wrapped", { cause: signal });
}

function optionsOf(spec: TaskSpec): TaskOptions {
  const { skipOnUpstreamSkip, retries, retryDelayMs, checkpoint, retriesFinal, cached } = spec;
  const isSetBack = (thrown: unknown) => (thrown as Error).message === "set back" || !isFinal(thrown);
  return {
    ...{ skipOnUpstreamSkip, retries, retryDelayMs, checkpoint },
    timeoutMs: TIMEOUT_MS,
    trigger: triggerOf(spec.trigger),
    ...(retriesFinal ? {} : { retryOn: isSetBack }),
    ...(cached ? { cacheForMs: 1_000_000, cacheValidator: cacheValidators.neverUse } : {}),
  };
}

/** Errors that say so themselves; a time-out and the other signals do not. */
function isFinal(thrown: unknown): boolean {
  return thrown instanceof Error && thrown.message === FOR_GOOD;
}

function triggerOf(spec: TriggerSpec): Trigger {
  if ("own" in spec) return { name: spec.own, check: (states) => ownVerdict(spec.own, states.length) };
  if (spec.rule === "someFailed" || spec.rule === "someSuccessful") {
    const { rule, ...bounds } = spec;
    return triggers[rule](bounds);
  }
  return triggers[spec.rule];
}

function ownVerdict(own: string, count: number): true | string {
  switch (own) {
    case "is even":
      return count % 2 === 0 || `${count} is odd`;
    case "throws":
      throw new Error("a broken trigger");
    case "skips":
      throw signals.skip();
    case "fails":
      throw signals.fail("no", TRIGGER_VALUE);
    case "succeeds":
      throw signals.success(TRIGGER_VALUE);
    case "loops":
      throw signals.loop(1);
    default:
      return "never";
  }
}
