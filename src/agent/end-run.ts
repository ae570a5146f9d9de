import type { Cloud } from "../client/cloud.js";
import { type FailureRecord, toFailure } from "../codec/failure.js";
import { toWireState } from "../codec/state-json.js";
import type { LogLine } from "../core/context.js";
import { describeError, type MillraceError } from "../core/errors.js";
import { isType, makeState, type State } from "../core/state.js";
import { MAX_MESSAGE_CHARS } from "../threads/limits.js";
import type { ReportEntry } from "../threads/messages.js";
import type { ReportStream } from "./report-stream.js";
import { type FlowRunHost, failureOf, type SeenTaskRun } from "./run-host.js";

/** What ending a run needs of its agent. */
export interface EndPorts {
  cloud: Pick<Cloud, "releaseRuns">;
  agentId: string;
  stream: ReportStream;
  log: (line: string) => void;
}

/** States of one report when many task runs are closed at once. */
const CLOSED_IN_ONE_REPORT = 1_000;

/**
 * Ends a run whose thread does not: what its code had begun is Failed with the cause, what it had not reached is Cancelled,
 * and the flow run is Failed with the cause's code, message and hint, which is also its last log line.
 */
export async function failRun(host: FlowRunHost, error: MillraceError, ports: EndPorts): Promise<void> {
  const context = { error: errorContext(error) };
  const failed = makeState("Failed", clip(error.message), { context });
  const close = ({ type }: SeenTaskRun): State =>
    type !== null && isType(type, "Running")
      ? makeState("Failed", clip(error.message), { context: { error: { code: error.code } } })
      : makeState("Cancelled", "Not reached: the flow run failed before.");
  const line: LogLine = {
    at: failed.at,
    level: "ERROR",
    name: "millrace.agent",
    message: clip(describeError(error)),
    taskRunId: null,
  };
  await endRun(host, failed, host.begun ? close : undefined, [line], ports);
}

/**
 * Ends a run that was cancelled and did not report its end itself.
 * @param stopped Was it stopped hard, since its code did not end in time?
 */
export async function cancelRun(host: FlowRunHost, stopped: boolean, ports: EndPorts): Promise<void> {
  const message = stopped
    ? "The flow run was cancelled; its code did not end in time and was stopped."
    : "The flow run was cancelled.";
  const close = () => makeState("Cancelled", message);
  await endRun(host, makeState("Cancelled", message), close, [], ports);
}

/** Gives a run back, to be taken up by any agent at once. */
export async function releaseRun(host: FlowRunHost, ports: EndPorts): Promise<void> {
  await host.close();
  try {
    await ports.cloud.releaseRuns(ports.agentId, [host.lease]);
  } catch (error) {
    ports.log(
      `Run ${host.lease.flowRunId} could not be given back, and is free when its lease ends: ${(error as Error).message}`,
    );
  }
}

/** Gives a run back whose tasks all wait: it comes back when the first of them is due, or was resumed. */
export async function letRunWait(host: FlowRunHost, ports: EndPorts): Promise<void> {
  await host.close();
  try {
    await ports.cloud.releaseRuns(ports.agentId, [{ ...host.lease, waits: true }]);
  } catch (error) {
    ports.log(
      `Run ${host.lease.flowRunId} waits and could not be given back; it is free when its lease ends: ${(error as Error).message}`,
    );
  }
}

async function endRun(
  host: FlowRunHost,
  state: State,
  closeTaskRun: ((taskRun: SeenTaskRun) => State) | undefined,
  logs: LogLine[],
  { cloud, agentId, stream, log }: EndPorts,
): Promise<void> {
  // What the thread reported last may still be on its way; the versions below follow it.
  await host.close();
  const entries: ReportEntry[] = closeTaskRun
    ? host.unfinished().map((taskRun) => {
        const { type: _, ...ids } = taskRun;
        const closed = closeTaskRun(taskRun);
        return { taskRun: ids, state: toWireState(closed), at: closed.at };
      })
    : [];
  let failure: FailureRecord | null = null;
  while (entries.length > CLOSED_IN_ONE_REPORT && failure === null) {
    failure = failureOf(await stream.report(host.lease, { states: entries.splice(0, CLOSED_IN_ONE_REPORT), logs: [] }));
  }
  const last: ReportEntry = { state: toWireState(state), at: state.at };
  failure ??= failureOf(await stream.report(host.lease, { states: [...entries, last], logs }));
  if (failure === null || failure.code === "RUN_LEASE_LOST") return;
  // The thread may have died between what it reported and what the Cloud took: then the Cloud closes the rest itself.
  try {
    await cloud.releaseRuns(agentId, [{ ...host.lease, state: toWireState(state) }]);
  } catch (error) {
    log(
      `Run ${host.lease.flowRunId} could not be ended, and is taken up again when its lease ends: ${(error as Error).message}`,
    );
  }
}

function errorContext(error: MillraceError): Record<string, unknown> {
  const { name, message, code, hint, details, cause } = toFailure(error);
  return {
    name,
    message: clip(message),
    code,
    ...(hint === null ? {} : { hint }),
    ...(details === null ? {} : { details }),
    ...(cause === null
      ? {}
      : {
          cause: { name: cause.name, message: clip(cause.message), code: cause.code, stack: clip(cause.stack ?? "") },
        }),
  };
}

function clip(text: string): string {
  return text.length <= MAX_MESSAGE_CHARS ? text : `${text.slice(0, MAX_MESSAGE_CHARS - 1)}…`;
}
