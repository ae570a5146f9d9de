import type Docker from "dockerode";
import type { Lease } from "../../client/cloud.js";
import { sleepUnlessAborted } from "../../client/retry.js";
import { toWireState } from "../../codec/state-json.js";
import { describeError, MillraceError } from "../../core/errors.js";
import { makeState } from "../../core/state.js";
import { isAway, isTrouble } from "../away.js";
import { awayWaitMs } from "../back-off.js";
import type { ExecutorPorts } from "../run-executor.js";

/** How a container ended; `exit` is null for one that is gone. */
export interface ContainerEnd {
  exit: { code: number; outOfMemory: boolean; error: string } | null;
  lastLines: readonly string[];
}

export function endOf({ State }: Docker.ContainerInspectInfo, lastLines: readonly string[]): ContainerEnd {
  return { exit: { code: State.ExitCode, outOfMemory: State.OOMKilled, error: State.Error ?? "" }, lastLines };
}

/** Why a run has no final state though its container has ended. */
export function whyEnded(name: string, { exit, lastLines }: ContainerEnd): MillraceError {
  const what = `The container of flow run "${name}"`;
  const details = { exitCode: exit?.code ?? null, lastLines: [...lastLines] };
  if (!exit) {
    return new MillraceError("CONTAINER_ENDED", `${what} is gone: it was removed while the run went on.`, {
      hint: "Somebody, or a clean-up on that machine, removed it.",
      details,
    });
  }
  if (exit.outOfMemory) {
    return new MillraceError(
      "CONTAINER_OUT_OF_MEMORY",
      `${what} was killed because it used more memory than it may (exit code ${exit.code}).`,
      { hint: "Raise `memoryMb` of the run config or of the agent, or let the flow use less.", details },
    );
  }
  const signal = exit.code > 128 && exit.code < 160 ? `, which is signal ${exit.code - 128}` : "";
  const error = exit.error === "" ? "" : `: ${exit.error}`;
  return new MillraceError(
    "CONTAINER_ENDED",
    `${what} ended with exit code ${exit.code}${signal}, and the run had not ended${error}.`,
    { hint: "The container's last lines are in the run's log.", details },
  );
}

/**
 * Ends a run that its container left open; one that has ended, or is the Cloud's again, stays as it is. While the Cloud is
 * away it is asked again.
 * @throws what the Cloud refuses with
 */
export async function endRunOf(
  lease: Lease,
  why: MillraceError | "cancelled",
  { cloud, agentId, leaseMs, stream }: ExecutorPorts,
  lastLines: readonly string[],
  signal: AbortSignal,
): Promise<"ended" | "was over"> {
  const held = await untilAnswered(() => cloud.renewLeases(agentId, [lease], leaseMs), signal);
  if (held.lost.length > 0) return "was over";
  const failure = why === "cancelled" || held.cancelling.length > 0 ? undefined : why;
  const state = failure
    ? makeState("Failed", failure.message, { context: { error: contextOf(failure) } })
    : makeState("Cancelled", "The flow run was cancelled; its container was stopped.");
  const texts = failure ? [...lastLines, describeError(failure)] : lastLines;
  const logs = texts.map((message, index) => ({
    at: state.at,
    level: index === lastLines.length ? ("ERROR" as const) : ("INFO" as const),
    name: "millrace.agent.container",
    message,
    taskRunId: null,
  }));
  // Lines may be refused, as those of a run that is being cancelled; the state is what counts.
  if (logs.length > 0) await stream.report(lease, { states: [], logs });
  await untilAnswered(() => cloud.releaseRuns(agentId, [{ ...lease, state: toWireState(state) }]), signal);
  return "ended";
}

function contextOf({ name, code, message, hint, details }: MillraceError): Record<string, unknown> {
  return {
    name,
    code,
    message,
    ...(hint === undefined ? {} : { hint }),
    ...(details === undefined ? {} : { details }),
  };
}

/** @throws the last failure when the agent stops meanwhile */
export async function untilAnswered<T>(ask: () => Promise<T>, signal: AbortSignal): Promise<T> {
  for (let failures = 0; ; failures++) {
    try {
      return await ask();
    } catch (error) {
      if (signal.aborted || !(isAway(error) || isTrouble(error))) throw error;
      await sleepUnlessAborted(awayWaitMs(failures), signal);
    }
  }
}
