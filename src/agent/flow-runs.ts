import type { ClaimedRun, Lease } from "../client/cloud.js";
import { sleepUnlessAborted } from "../client/retry.js";
import { type FailureRecord, fromFailure, toFailure } from "../codec/failure.js";
import { type ErrorCode, isMillraceError, MillraceError } from "../core/errors.js";
import { explainMismatch } from "../execute/check-task-ids.js";
import { executeFlowRun } from "../execute/execute-flow-run.js";
import type { RunReply, RunRequest } from "../threads/messages.js";
import type { ThreadPool } from "../threads/pool.js";
import { type Asked, answerQuestion } from "./answer-questions.js";
import { isAway, isTrouble, whatIsWrong } from "./away.js";
import { awayWaitMs } from "./back-off.js";
import { cancelRun, type EndPorts, failRun, letRunWait, releaseRun } from "./end-run.js";
import type { FlowAtHand, FlowCache } from "./flow-cache.js";
import { endOverdue, TaskOverdue } from "./overdue.js";
import { envOfRun, type ServedRunConfigs } from "./run-config.js";
import type { ActiveRun } from "./run-executor.js";
import { FlowRunHost } from "./run-host.js";
import { TaskWatch } from "./task-watch.js";
import { withEnv } from "./thread-env.js";

/** A thread that has not answered so long after the run's final state was accepted is kept busy by what the run left behind. */
const RETURN_MS = 5_000;

/** What a run needs of its agent. */
export interface FlowRunPorts extends EndPorts {
  flows: FlowCache;
  /** Undefined: run on this very thread. */
  pool: ThreadPool | undefined;
  cloud: EndPorts["cloud"] & Asked["cloud"];
  /** How long a cancelled run may take to end by itself. */
  cancelGraceMs: number;
  serves: ServedRunConfigs;
}

/** A run on a thread. Inline, stopping it can only be told. */
export interface ThreadRun extends ActiveRun {
  readonly lease: Lease;
  readonly host: FlowRunHost;
}

export function startFlowRun(run: ClaimedRun, ports: FlowRunPorts): ThreadRun {
  const hard = new AbortController();
  const over = new AbortController();
  let grace: NodeJS.Timeout | undefined;
  let returning: NodeJS.Timeout | undefined;
  const timeouts = new Map<string, number>();
  const watch = new TaskWatch(
    (taskSlug) => timeouts.get(taskSlug) ?? null,
    (taskRun, running) => hard.abort(new TaskOverdue(taskRun, running, timeouts.get(taskRun.taskSlug)!)),
  );
  const asked: Asked = { cloud: ports.cloud, flowId: run.flowId, signal: over.signal, made: new Set() };
  const host = new FlowRunHost(run, ports.stream, (question) => answerQuestion(question, asked), {
    onEnded() {
      returning = setTimeout(() => {
        hard.abort(
          new MillraceError("RUN_STOPPED", `The thread did not return within ${RETURN_MS} ms of the run's end.`),
        );
      }, RETURN_MS);
    },
    // Inline, nothing can be stopped from outside.
    ...(ports.pool ? { onTaskRun: (taskRun, state) => watch.note(taskRun, state) } : {}),
  });
  hard.signal.addEventListener("abort", () => over.abort());
  const stopHard = (error: MillraceError) => {
    host.stop(toFailure(error));
    hard.abort(error);
  };
  const begin = async (): Promise<FlowAtHand> => {
    const flow = await fetchFlow(run, hard.signal, ports);
    asked.flow = flow.registered;
    for (const task of flow.registered.spec.tasks) if (task.timeoutMs !== null) timeouts.set(task.slug, task.timeoutMs);
    return flow;
  };
  const ended = runToItsEnd(run, host, begin, hard.signal, ports).finally(() => {
    over.abort();
    watch.close();
    clearTimeout(grace);
    clearTimeout(returning);
  });
  return {
    flowRunId: run.flowRunId,
    lease: host.lease,
    host,
    ended,
    grant: (taskRunIds) => host.grant(taskRunIds),
    cancel() {
      if (grace) return;
      const error = new MillraceError("RUN_CANCELLED", `Flow run "${run.name}" was cancelled.`);
      host.stop(toFailure(error));
      // What has not begun has nothing to end. Inline, the engine's own grace is all there is.
      grace = setTimeout(() => hard.abort(error), host.begun ? ports.cancelGraceMs : 0);
    },
    stop(code) {
      const why =
        code === "RUN_LEASE_LOST" ? "another agent or the Cloud has taken it over" : "the agent was asked to stop";
      stopHard(new MillraceError(code, `Flow run "${run.name}" was stopped: ${why}.`));
    },
  };
}

async function runToItsEnd(
  run: ClaimedRun,
  host: FlowRunHost,
  begin: () => Promise<FlowAtHand>,
  hard: AbortSignal,
  ports: FlowRunPorts,
): Promise<void> {
  const startedAt = performance.now();
  let error: unknown;
  let flow: FlowAtHand | undefined;
  try {
    const env = envOfRun(run.runConfig, ports.serves);
    flow = await begin();
    const reply = await execute(toRequest(run, flow), flow, { host, signal: hard, env, pool: ports.pool });
    if (reply.outcome === "waiting") {
      const until = reply.dueAt === null ? "until someone resumes it or a slot is free" : `until ${reply.dueAt}`;
      ports.log(`Flow run "${run.name}" waits ${until}; its thread is free meanwhile.`);
      return await letRunWait(host, ports);
    }
    error = reply.outcome === "done" ? await whyNotDone(reply.state, host) : whyBroken(reply, flow);
  } catch (thrown) {
    // A thread may die of what a run left behind, with the run's final state still on its way.
    const refused = host.hasLast ? await host.settled() : null;
    error = refused === null ? thrown : fromFailure(refused);
  }
  try {
    if (error instanceof TaskOverdue && flow) {
      ports.log(`Flow run "${run.name}" goes on without its thread: ${error.message}`);
      await endOverdue(host, error, flow.registered.spec, ports);
    } else if (error === undefined) {
      const seconds = ((performance.now() - startedAt) / 1_000).toFixed(2);
      ports.log(`Flow run "${run.name}" ended in ${host.acceptedState} after ${seconds} s.`);
    } else {
      await endBroken(run, host, error, hard.aborted, ports);
    }
  } catch (unforeseen) {
    ports.log(`Flow run "${run.name}" could not be ended: ${(unforeseen as Error).message}`);
  }
}

/** The run is claimed, and nobody else can take it: a Cloud that is away, or in trouble, is asked again until it answers. */
async function fetchFlow(run: ClaimedRun, hard: AbortSignal, { flows, log }: FlowRunPorts): Promise<FlowAtHand> {
  for (let failures = 0; ; failures++) {
    try {
      return await unlessAborted(flows.get(run.flowId), hard);
    } catch (error) {
      if (hard.aborted || !(isAway(error) || isTrouble(error))) throw error;
      if (failures === 0) log(`${whatIsWrong(error)}, flow run "${run.name}" waits for its flow: ${messageOf(error)}`);
      await sleepUnlessAborted(awayWaitMs(failures), hard);
    }
  }
}

/** @throws the signal's reason, as soon as it fires; what the promise becomes then is nobody's concern */
export async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const aborted = Promise.withResolvers<never>();
  const abort = () => aborted.reject(signal.reason);
  signal.addEventListener("abort", abort);
  if (signal.aborted) abort();
  try {
    return await Promise.race([promise, aborted.promise]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}

interface Execution {
  host: FlowRunHost;
  signal: AbortSignal;
  env: Readonly<Record<string, string>>;
  pool: ThreadPool | undefined;
}

async function execute(
  request: RunRequest,
  flow: FlowAtHand,
  { host, signal, env, pool }: Execution,
): Promise<RunReply> {
  signal.throwIfAborted();
  if (!pool) return withEnv(env, () => executeFlowRun(request, host));
  const { freshThread, maxHeapMb } = flow.registered.threadOptions;
  return pool.run(request, host, { freshThread, maxHeapMb, signal, env });
}

function toRequest(run: ClaimedRun, { registered, savedFlowFile }: FlowAtHand): RunRequest {
  return {
    flowRunId: run.flowRunId,
    flowRunName: run.name,
    flowId: run.flowId,
    flowName: registered.name,
    savedFlowFile,
    savedFlowHash: registered.storage.hash,
    specHash: registered.specHash,
    projectName: registered.projectName,
    parameters: run.parameters,
    scheduledStartAt: run.scheduledStartAt,
    date: typeof run.context?.date === "string" ? run.context.date : null,
    taskRuns: run.taskRuns,
  };
}

/** Undefined: the Cloud has the final state that the thread tells. Otherwise why it has not. */
async function whyNotDone(state: string, host: FlowRunHost): Promise<Error | undefined> {
  const refused = await host.settled();
  if (refused !== null) return fromFailure(refused);
  if (state === host.acceptedState) return undefined;
  return new MillraceError(
    "WORKER_PROTOCOL",
    `The worker thread said the run ended in ${state}; the Cloud was told ${host.acceptedState}.`,
  );
}

function whyBroken(reply: Exclude<RunReply, { outcome: "waiting" | "done" }>, flow: FlowAtHand): Error {
  if (reply.outcome === "broken off") return fromFailure(reply.failure);
  return reply.lists ? explainTaskIds(reply.lists, flow, reply.failure) : fromFailure(reply.failure);
}

type Lists = NonNullable<Extract<RunReply, { outcome: "not started" }>["lists"]>;

function explainTaskIds({ manifest, built }: Lists, { registered }: FlowAtHand, failure: FailureRecord): Error {
  const { spec, specHash, version } = registered;
  try {
    return explainMismatch({ registered: { spec, specHash, version }, manifest, built });
  } catch (cause) {
    return new MillraceError("TASK_IDS_CHANGED", failure.message, { hint: "Deploy the flow again.", cause });
  }
}

async function endBroken(
  run: ClaimedRun,
  host: FlowRunHost,
  error: unknown,
  stopped: boolean,
  ports: FlowRunPorts,
): Promise<void> {
  const what = `Flow run "${run.name}"`;
  if (host.hasEnded) {
    // The Cloud has the run's last state already; what died was what the run left behind.
    await host.close();
    return ports.log(`${what} ended in ${host.acceptedState}; its thread was replaced: ${messageOf(error)}`);
  }
  if (isMillraceError(error, "RUN_LEASE_LOST")) {
    await host.close();
    return ports.log(`${what} was taken over and is no longer run here.`);
  }
  // Being told to end, code may fail in any way.
  if (host.stopCode === "RUN_CANCELLED" || isMillraceError(error, "RUN_CANCELLED")) {
    ports.log(`${what} was cancelled${stopped ? " and stopped" : ""}.`);
    return cancelRun(host, stopped, ports);
  }
  if (isMillraceError(error, "RUN_STOPPED")) {
    ports.log(`${what} is given back.`);
    return releaseRun(host, ports);
  }
  const failure = asMillraceError(error);
  ports.log(`${what} failed: ${failure.code}: ${failure.message}`);
  return failRun(host, failure, ports);
}

function asMillraceError(error: unknown): MillraceError {
  if (isMillraceError(error)) return error;
  const { code, message } = toFailure(error);
  return new MillraceError(
    "INTERNAL" satisfies ErrorCode,
    `The flow run was broken off${code === null ? "" : ` (${code})`}: ${message}`,
    { cause: error },
  );
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
