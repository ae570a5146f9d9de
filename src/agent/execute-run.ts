import { chdir } from "node:process";
import type { Claim, ClaimedRun, Cloud } from "../client/cloud.js";
import { toWireState } from "../codec/state-json.js";
import { MillraceError } from "../core/errors.js";
import { newId } from "../core/ids.js";
import { isStateType, isSuccessful, isTerminal, makeState } from "../core/state.js";
import { DEFAULT_CANCEL_GRACE_MS, DEFAULT_LEASE_MS } from "./agent-loop.js";
import { isTrouble } from "./away.js";
import type { ThreadRun } from "./flow-runs.js";
import { prepareThreads } from "./run-threads.js";
import { openSession } from "./session.js";
import { wholeEnv } from "./thread-env.js";

/** A claim that another process made, and whose run is executed here under its lease. */
export interface ClaimToTakeOver {
  agentId: string;
  claimId: string;
}

export interface ExecuteRunOptions {
  cloud: Cloud;
  flowRunId: string;
  /** Default: the run is claimed here. */
  claim?: ClaimToTakeOver;
  /** The saved flow's file. Default: it is fetched from its storage. */
  savedFlowFile?: string;
  /** "thread" (default): a worker thread of this process. "inline": this very thread. */
  mode?: "thread" | "inline";
  /** All that the flow's code sees of the environment, besides what its run config says. Default: this process's own, without the Cloud's token. */
  env?: Readonly<Record<string, string>>;
  /** Execute only a flow that is signed by one of these keys: paths of public keys (PEM), or the PEM itself. */
  requireSignedBy?: readonly string[];
  /** How long the claim lasts without being renewed, in milliseconds. Default 30,000. */
  leaseMs?: number;
  /** How long a cancelled run may take to end before its thread is stopped, in milliseconds. Default 8,000. */
  cancelGraceMs?: number;
  log?: (line: string) => void;
  /** Gives the run back, unless it is being cancelled: then it ends Cancelled. */
  signal?: AbortSignal;
}

/** How a run left the process that executed it. */
export interface ExecutedRun {
  /** `ended`: the Cloud has its final state. `given back`: the run is the Cloud's again, to be taken up later. */
  outcome: "ended" | "given back";
  /** Its state by then. */
  state: string;
  succeeded: boolean;
  message: string | null;
}

/**
 * Claims one flow run by its id, whatever its labels, and executes it here to its end: what an image, a virtual machine or a
 * systemd unit does.
 * @throws FLOW_RUN_NOT_FOUND, FLOW_RUN_NOT_CLAIMED, SIGNING_KEY_INVALID, and what the Cloud throws
 */
export async function executeRun(options: ExecuteRunOptions): Promise<ExecutedRun> {
  const { cloud, savedFlowFile, mode = "thread", env = wholeEnv(), requireSignedBy, signal } = options;
  const { leaseMs = DEFAULT_LEASE_MS, cancelGraceMs = DEFAULT_CANCEL_GRACE_MS, log = () => {} } = options;
  const makeExecutor = await prepareThreads({
    threads: 1,
    env: mode === "inline" ? undefined : env,
    requireSignedBy,
    cancelGraceMs,
    serves: "any",
    ...(savedFlowFile === undefined ? {} : { savedFlowFile }),
  });
  const agentId =
    options.claim?.agentId ?? (await cloud.registerAgent({ type: "Execute", name: "execute", labels: [] }));
  const run = await claimRun(options, agentId, leaseMs);
  const active = new Map<string, ThreadRun>();
  const session = openSession({
    cloud,
    agentId,
    leaseMs,
    flowGroupId: undefined,
    active,
    claim: () => undefined,
    onClaimed: () => {},
    onRunDue: () => {},
    log,
  });
  const executor = makeExecutor({ cloud, agentId, leaseMs, stream: session.stream, onReady: () => {}, log });
  try {
    await enterFolder(run, options, agentId);
    const started = executor.start(run, undefined) as ThreadRun;
    active.set(run.flowRunId, started);
    const stop = () => void stopRun(started, { cloud, agentId, leaseMs });
    signal?.addEventListener("abort", stop);
    if (signal?.aborted) stop();
    await started.ended;
    signal?.removeEventListener("abort", stop);
  } finally {
    active.clear();
    await session.close();
    await executor.close();
  }
  return whatBecameOf(cloud, run.flowRunId);
}

/** The claim has an id: were its answer lost, it is asked again under it, by the client. */
async function claimRun(options: ExecuteRunOptions, agentId: string, leaseMs: number): Promise<ClaimedRun> {
  const { cloud, flowRunId, claim } = options;
  const asked: Claim = { agentId, labels: [], flowRunId, limit: 1, leaseMs, claimId: claim?.claimId ?? newId() };
  const answer = await cloud.claimRuns(asked);
  const [run] = answer.runs;
  if (run) return run;
  const state = await cloud.flowRunState(flowRunId);
  if (!state) {
    throw new MillraceError("FLOW_RUN_NOT_FOUND", `There is no flow run "${flowRunId}" at ${cloud.url}.`, {
      hint: "`millrace get flow-runs` lists them.",
    });
  }
  throw new MillraceError(
    "FLOW_RUN_NOT_CLAIMED",
    `Flow run ${flowRunId} was not given out: ${whyNot(state.type, answer.nextDueAt)}.`,
    {
      hint: "`millrace why` says what a waiting run waits for.",
      details: { state: state.type },
    },
  );
}

function whyNot(type: string, nextDueAt: string | null): string {
  if (isStateType(type) && isTerminal({ type })) return `it has ended in ${type}`;
  if (nextDueAt !== null && Date.parse(nextDueAt) > Date.now()) return `it is not due before ${nextDueAt}`;
  if (type === "Submitted" || type === "Running" || type === "Cancelling") return `it is ${type}, and another agent's`;
  return `it is ${type}, of another kind of agent, or a label of its has no free slot`;
}

/** A run that asks for a folder has it: this process is the run's own. @throws RUN_CONFIG_UNSUPPORTED, and the run has ended Failed with it */
async function enterFolder(run: ClaimedRun, { cloud }: ExecuteRunOptions, agentId: string): Promise<void> {
  const folder = run.runConfig?.working_dir;
  if (typeof folder !== "string" || folder === "") return;
  try {
    chdir(folder);
  } catch (cause) {
    const message = `The run asks for the folder "${folder}", which cannot be entered: ${(cause as Error).message}`;
    const { flowRunId, fence } = run;
    const context = { error: { name: "MillraceError", code: "RUN_CONFIG_UNSUPPORTED", message } };
    const state = toWireState(makeState("Failed", message, { context }));
    await cloud.releaseRuns(agentId, [{ flowRunId, fence, state }]);
    throw new MillraceError("RUN_CONFIG_UNSUPPORTED", message, {
      hint: "Make the folder, or name another one.",
      cause,
    });
  }
}

/** Asked to stop, the run is given back; a run that is being cancelled ends so. The Cloud is asked, as its word may be on its way. */
async function stopRun(
  run: ThreadRun,
  { cloud, agentId, leaseMs }: { cloud: Cloud; agentId: string; leaseMs: number },
): Promise<void> {
  const isCancelling = await cloud.renewLeases(agentId, [run.lease], leaseMs).then(
    ({ cancelling }) => cancelling.length > 0,
    () => false,
  );
  if (isCancelling) run.cancel();
  else run.stop("RUN_STOPPED");
}

async function whatBecameOf(cloud: Cloud, flowRunId: string): Promise<ExecutedRun> {
  for (let tries = 1; ; tries++) {
    try {
      const state = await cloud.flowRunState(flowRunId);
      const type = state?.type;
      const ended = isStateType(type) && isTerminal({ type });
      return {
        outcome: ended ? "ended" : "given back",
        state: type ?? "deleted",
        succeeded: isStateType(type) && isSuccessful({ type }),
        message: typeof state?.message === "string" ? state.message : null,
      };
    } catch (error) {
      if (!isTrouble(error) || tries >= 3) throw error;
    }
  }
}
