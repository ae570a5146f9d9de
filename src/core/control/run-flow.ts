import { currentBuild } from "../building.js";
import { type TaskContext, taskContext } from "../context.js";
import { describeError, isMillraceError, MillraceError } from "../errors.js";
import type { FlowDefinition } from "../flow-definition.js";
import { isJson } from "../json.js";
import { checkTaskOptions } from "../options/check-options.js";
import type { Input, Ref } from "../reference.js";
import { isFinished, isSuccessful, type State, type StateType } from "../state.js";
import type { TaskOptions } from "../task.js";
import { ownFunction } from "./own-function.js";
import { type HoldsSubflowPort, type SubflowPort, subflowPort } from "./subflow.js";

/** A run of another flow, for {@link runFlow}. */
export interface RunFlowCall {
  /** The name of a deployed flow, or a flow. Without a Cloud the flow itself is needed. */
  flow: string | { readonly name: string; readonly definition: FlowDefinition };
  /** The project it was deployed to. Default: whichever has a flow of that name. */
  project?: string;
  /** Plain JSON when the task runs; references in it are filled in. Default `{}`. */
  parameters?: Input<Readonly<Record<string, unknown>>>;
  /** Default: this run's name and the flow's. */
  runName?: Input<string>;
  /** Default: the flow's own labels. */
  labels?: readonly string[];
  /** Wait for the run's end, and end as it did? Default true. */
  wait?: boolean;
}

/** A flow run that a task asked for. */
export interface Subflow {
  readonly flowRunId: string;
  readonly flowName: string;
  /** How it ended; null when it was not waited for. */
  readonly state: StateType | null;
}

/** How long one question for a flow run's end may take, in milliseconds: one request every half minute while nothing happens. */
const WAIT_MS = 30_000;
/** The Cloud takes no longer names. */
const MAX_RUN_NAME_CHARS = 200;

/**
 * A task that creates a run of another flow, waits for its end, and succeeds or fails with it. A retry or a resume of the
 * task finds the run that it has created; only with the option `retries` a run that did not succeed is followed by another.
 * The run is cancelled when this one is, or when the task has a timeout and it is over.
 *
 * While it waits the task holds its flow run's thread. The flow must be deployed, and an agent must take its runs: one that
 * runs one flow run at a time waits for itself.
 * @param options Options of the task.
 * @throws TASK_ARGUMENT_INVALID; in a run SUBFLOW_FAILED when the run did not succeed, FLOW_NOT_DEPLOYED, FLOW_NOT_HERE
 * @example
 * const loaded = runFlow({ flow: "load orders", project: "Sales", parameters: { day } });
 * report(day).after(loaded);
 */
export function runFlow(call: RunFlowCall, options: TaskOptions = {}): Ref<Subflow> {
  const build = currentBuild("runFlow() was called");
  const { flow, project, parameters = {}, runName, labels, wait = true } = call;
  const [flowName, definition] = typeof flow === "string" ? [flow, undefined] : [flow?.name, flow?.definition];
  if (typeof flowName !== "string" || flowName.trim() === "") {
    throw new MillraceError("TASK_ARGUMENT_INVALID", "runFlow() was given no flow.", {
      hint: 'Write runFlow({ flow: "name" }), or pass a flow itself.',
    });
  }
  const name = `run ${flowName}`;
  checkTaskOptions(name, options);
  const asked = { flowName, project: project ?? null, labels: labels ?? null, wait, retries: options.retries ?? 0 };
  return build.addTask({
    name,
    options: { ...options },
    fn: ownFunction("millrace run flow", (...args: [Asked, unknown, unknown]) => runSubflow(definition, ...args)),
    args: [asked, parameters, runName],
    mapped: false,
  }) as unknown as Ref<Subflow>;
}

interface Asked {
  readonly flowName: string;
  readonly project: string | null;
  readonly labels: readonly string[] | null;
  readonly wait: boolean;
  readonly retries: number;
}

async function runSubflow(
  definition: FlowDefinition | undefined,
  asked: Asked,
  parameters: unknown,
  runName: unknown,
): Promise<Subflow> {
  const context = taskContext();
  const port = portOf(context);
  const { flowName, project, labels, wait, retries } = asked;
  const ownName = context.mapIndex < 0 ? flowName : `${flowName}[${context.mapIndex}]`;
  const call = {
    flowName,
    definition,
    project,
    labels,
    parameters: checkedParameters(flowName, parameters),
    runName: (typeof runName === "string" ? runName : `${context.flowRunName}-${ownName}`).slice(0, MAX_RUN_NAME_CHARS),
  };
  // As many runs as the task may have tries, counted with those of earlier tries: each has its own key.
  const mostRuns = wait ? Math.min(retries + 1, context.runCount) : 1;
  for (let count = 1; ; count += 1) {
    const idempotencyKey = count === 1 ? context.taskRunId : `${context.taskRunId}/${count}`;
    const flowRunId = await port.create({ ...call, idempotencyKey });
    if (!wait) return { flowRunId, flowName, state: null };
    const known = count < mostRuns ? await port.end(flowRunId, 0) : null;
    if (known && !isSuccessful(known)) continue;
    const state = known ?? (await waitForEnd(flowRunId, port, context));
    if (isSuccessful(state)) return { flowRunId, flowName, state: state.type };
    throw notSuccessful(flowName, flowRunId, state);
  }
}

async function waitForEnd(flowRunId: string, port: SubflowPort, { signal, logger }: TaskContext): Promise<State> {
  logger.info(`Waiting for flow run ${flowRunId}.`);
  const stopped = whenAborted(signal);
  try {
    for (;;) {
      const state = await Promise.race([port.end(flowRunId, WAIT_MS), stopped.promise]);
      if (state) return state;
    }
  } catch (error) {
    if (signal.aborted && !goesOnElsewhere(signal.reason)) {
      // The task ends for its own reason, also when the flow run cannot be reached.
      await port.cancel(flowRunId).then(
        () => logger.info(`Asked for flow run ${flowRunId} to be cancelled.`),
        (unreached) => logger.warn(`Flow run ${flowRunId} could not be cancelled: ${describeError(unreached)}`),
      );
    }
    throw error;
  } finally {
    stopped.forget();
  }
}

/** The task will be run again, by another agent perhaps, and finds its flow run. */
function goesOnElsewhere(reason: unknown): boolean {
  return isMillraceError(reason, "RUN_LEASE_LOST") || isMillraceError(reason, "RUN_STOPPED");
}

/** Rejects when `signal` fires, with its reason. */
function whenAborted(signal: AbortSignal): { promise: Promise<never>; forget: () => void } {
  const { promise, reject } = Promise.withResolvers<never>();
  // Mostly nobody is waiting any more.
  promise.catch(() => {});
  const abort = () => reject(signal.reason);
  if (signal.aborted) abort();
  else signal.addEventListener("abort", abort, { once: true });
  return { promise, forget: () => signal.removeEventListener("abort", abort) };
}

function notSuccessful(flowName: string, flowRunId: string, { type, message }: State): MillraceError {
  const subject = `Flow run ${flowRunId} of flow "${flowName}"`;
  const details = { flowRunId, flowName, state: type };
  if (!isFinished({ type })) {
    // Without a Cloud alone: there a run can be resumed later.
    return new MillraceError("SUBFLOW_FAILED", `${subject} waits for somebody, and nobody is here to resume it.`, {
      hint: "Answer with the option `onPause` of flow.run(), or run both flows under an agent.",
      details,
    });
  }
  const why = message === null ? "" : `: ${message}`;
  return new MillraceError("SUBFLOW_FAILED", `${subject} ended ${type}${why}`, {
    hint: "Look at that flow run. With the option `retries` the task makes another one.",
    details,
  });
}

function checkedParameters(flowName: string, parameters: unknown): Readonly<Record<string, unknown>> {
  if (typeof parameters === "object" && parameters !== null && !Array.isArray(parameters) && isJson(parameters)) {
    return parameters as Record<string, unknown>;
  }
  throw new MillraceError(
    "VALUE_NOT_SERIALIZABLE",
    `The parameters for a run of flow "${flowName}" are not plain JSON.`,
    {
      hint: "Give an object of text, numbers, true, false, null, and lists and objects of them.",
    },
  );
}

function portOf(context: TaskContext): SubflowPort {
  const port = (context as Partial<HoldsSubflowPort>)[subflowPort];
  if (port) return port;
  throw new MillraceError("INTERNAL", `Task "${context.taskName}" cannot reach the engine that runs it.`);
}
