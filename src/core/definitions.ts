import { AsyncLocalStorage } from "node:async_hooks";
import { isInTask } from "./context.js";
import { MillraceError } from "./errors.js";
import type { FlowDefinition } from "./flow-definition.js";

/**
 * While a module is loaded for the flows it defines, the calls in it that would act (`deploy`, `run`, `runAgent`) must
 * not. This is the one place that knows whether such a load is under way in this thread.
 */
interface Load {
  readonly flows: Map<string, FlowDefinition>;
  /** The flow that the load is for; undefined: all of them. */
  readonly wanted: string | undefined;
  readonly stop: () => void;
}

let load: Load | undefined;

/**
 * Set for the code that a load evaluates, and whatever that sets off: a host that defines a flow of its own while a load
 * is under way (inline mode, loadFlow) is no part of it.
 */
const evaluating = new AsyncLocalStorage<Load>();

/** Every flow that a load has defined. Code that such a load has set off may still call them when the load is over. */
const loaded = new WeakSet<FlowDefinition>();

/** How long a module may go on after a held-back call; only code behind a top-level `await` ever uses it. */
const SETTLE_MS = 20;

/** Called by `flow()` for each flow that is defined. */
export function noteDefinition(flow: FlowDefinition): void {
  if (!load || evaluating.getStore() !== load) return;
  if (load.flows.has(flow.name)) {
    throw new MillraceError("FLOW_NAME_TAKEN", `Two flows of one module are called "${flow.name}".`, {
      hint: "Give each flow of a module its own name.",
    });
  }
  load.flows.set(flow.name, flow);
  loaded.add(flow);
}

/** The flows of the load under way, for who must name them when the module ends the thread. */
export function definedSoFar(): FlowDefinition[] {
  return [...(load?.flows.values() ?? [])];
}

/**
 * Asked by `deploy`, `run` and `runAgent` before they act. Undefined: act, for no load has defined the flow, or one of
 * its tasks is calling. Otherwise what to return instead: a promise that never settles once the wanted flow is defined,
 * so that nothing behind the call runs in this load; before that `standIn`, so that a module which defines its flows
 * between such calls can go on to define the rest. A call that comes after its load has ended, from a `main()` that
 * nobody awaits, never settles either.
 */
export function heldBack<T>(flow: FlowDefinition, standIn: T | undefined): Promise<T> | undefined {
  if (!loaded.has(flow)) return undefined;
  if (load?.flows.get(flow.name) !== flow) return isInTask() ? undefined : new Promise<T>(() => {});
  const goOn = standIn !== undefined && (load.wanted === undefined || !load.flows.has(load.wanted));
  if (goOn) return Promise.resolve(standIn);
  load.stop();
  return new Promise<T>(() => {});
}

let previous: Promise<unknown> = Promise.resolve();

/**
 * Runs `importModule` and returns the flows that its code has defined meanwhile, by name. Calls queue up behind each other.
 * @param wanted The one flow that is needed; the load may end as soon as it stands.
 */
export function collectDefinitions(
  importModule: () => Promise<unknown>,
  wanted?: string,
): Promise<ReadonlyMap<string, FlowDefinition>> {
  const collected = previous.then(() => collect(importModule, wanted));
  previous = collected.catch(() => {});
  return collected;
}

async function collect(
  importModule: () => Promise<unknown>,
  wanted: string | undefined,
): Promise<ReadonlyMap<string, FlowDefinition>> {
  let stop = () => {};
  const stopped = new Promise<void>((resolve) => {
    stop = resolve;
  });
  const flows = new Map<string, FlowDefinition>();
  load = { flows, wanted, stop };
  try {
    const imported = evaluating.run(load, importModule);
    imported.catch(() => {});
    await Promise.race([imported, stopped.then(() => Promise.race([imported, delay(SETTLE_MS)]))]);
    return flows;
  } finally {
    load = undefined;
  }
}

function delay(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
