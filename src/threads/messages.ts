import type { MessagePort } from "node:worker_threads";
import type { FailureRecord } from "../codec/failure.js";
import type { WireState } from "../codec/state-json.js";
import type { LogLine } from "../core/context.js";
import type { FlowSpec } from "../core/flow-spec.js";
import type { StorageOptions } from "../core/options/flow-storage.js";
import type { RunConfig } from "../core/options/run-config.js";

/*
 * What crosses between the agent's main thread and a worker thread: types only. A run's request goes in as a piscina
 * task; everything else goes over that run's own MessagePort, whose main-thread end is a RunHost and nothing more.
 */

/** A flow run, with all that a thread needs to run it. */
export interface RunRequest {
  flowRunId: string;
  flowRunName: string;
  flowId: string;
  flowName: string;
  /** A saved flow on this machine's disk. */
  savedFlowFile: string;
  /** The saved flow's hash as the Cloud registered it; the file must carry the same. */
  savedFlowHash: string;
  /** The hash of the spec that the Cloud registered; another spec is refused with TASK_IDS_CHANGED. */
  specHash: string;
  projectName: string;
  parameters: Record<string, unknown>;
  scheduledStartAt: string;
  /** The instant that the run stands for, where it is not its scheduled start. */
  date: string | null;
  taskRuns: WireTaskRun[];
}

/** The task that piscina hands to `workers/flow-run`. */
export interface FlowRunTask {
  request: RunRequest;
  /** The run's capability; transferred. */
  port: MessagePort;
}

/** What that task resolves with. It never rejects by itself: a rejection is a thread that died. */
export interface FlowRunTaskReply {
  reply: RunReply;
  /** What the run left behind on its thread, for people; the thread is replaced unless the list is empty. */
  leftovers: string[];
}

/** A known task run with its state as the wire's JSON, decoded in the worker so that the main thread need not. */
export interface WireTaskRun {
  taskRunId: string;
  taskSlug: string;
  mapIndex: number;
  version: number;
  state: WireState | null;
}

/** One state on its way to the Cloud. Without `taskRun` it is the flow run's own. */
export interface ReportEntry {
  taskRun?: { taskRunId: string; taskSlug: string; mapIndex: number; version: number; name?: string };
  state: WireState;
  /** When the state was entered, ISO 8601. */
  at: string;
}

export interface RunReport {
  states: ReportEntry[];
  logs: LogLine[];
}

/** Null: all of the report was accepted. */
export type ReportReply = FailureRecord | QueuedTaskRuns | null;

/** The report was accepted, and for these task runs there was no slot: each is Queued in place of Running. */
export interface QueuedTaskRuns {
  queued: string[];
}

/** What a worker thread may ask of the main thread, for its own run alone. Neither promise rejects. */
export interface RunHost {
  /**
   * Resolves with null when the Cloud has accepted all of it, or with the task runs that it has set Queued in place of
   * Running; otherwise with the reason. After a reason the run is over
   * for this thread. One report at a time. The one with the flow run's final state resolves when the host has it, which
   * sees to the rest.
   */
  report(report: RunReport): Promise<ReportReply>;
  /**
   * Asks something that only the Cloud knows, for this run and within what its flow declares. Resolves with the answer, or
   * with why there is none. Any number at a time.
   */
  ask(question: HostQuestion): Promise<HostAnswer>;
  /** Resolves, once, when the run must end, with the reason; may never resolve. */
  stopped(): Promise<FailureRecord>;
}

/** What a run may ask. */
export type HostQuestion =
  /** Cached states for a task of this flow, or for its cache key; the newest first. Answered with WireState[]. */
  | { about: "caches"; taskSlug: string; cacheKey: string | null; sinceAt: string }
  /** The value of a secret that the flow declares. */
  | { about: "secret"; name: string }
  /** Which Queued task runs have their slots now. Answered, when there are any, with their ids. */
  | { about: "slots" }
  /** Creates a run of another deployed flow, once for an idempotency key. Answered with the flow run's id. */
  | {
      about: "create flow run";
      flowName: string;
      project: string | null;
      parameters: Record<string, unknown>;
      runName: string | null;
      labels: string[] | null;
      idempotencyKey: string;
    }
  /** Answered with { state: WireState } when the flow run is finished, or null after `waitMs`. */
  | { about: "flow run's end"; flowRunId: string; waitMs: number }
  /** Asks the Cloud to cancel a flow run that this run created. Answered with null. */
  | { about: "cancel flow run"; flowRunId: string };

export type HostAnswer = { answer: unknown } | { failure: FailureRecord };

/** How a run ended on its thread. */
export type RunReply =
  /** The engine came to its end and handed over the flow run's last state, whose type this is; all before it was accepted. */
  | { outcome: "done"; state: string }
  /**
   * Nothing is left to do now: task runs wait for their time, or for someone. The flow run stays Running, and comes back
   * when the first of them is due; null: when one is resumed.
   */
  | { outcome: "waiting"; dueAt: string | null }
  /** The flow did not get as far as its engine. With TASK_IDS_CHANGED come the two lists of tasks that the Cloud has not. */
  | { outcome: "not started"; failure: FailureRecord; lists: { manifest: ListedTasks; built: ListedTasks } | null }
  /** The run ended before the Cloud had accepted its last state: a report was refused, or the run was told to stop. */
  | { outcome: "broken off"; failure: FailureRecord };

/** A flow's tasks as one of its three sources tells them. */
export interface ListedTasks {
  spec: FlowSpec;
  specHash: string;
}

/** The task of `workers/describe-flow`: load a module's flows, without running them. */
export interface DescribeRequest {
  savedFlowFile?: string;
  /** The hash that the file must carry. */
  savedFlowHash?: string;
  /** In place of `savedFlowFile`: the module of an unpacked bundle, as a path. */
  bundleFile?: string;
  /** Of `bundleFile`: the author's file, for messages. */
  sourceFile?: string;
  /** The one flow wanted; all of the module's when absent. */
  flowName?: string;
}
export type DescribeReply = { specs: DescribedFlow[] } | { failure: FailureRecord };
export interface DescribedFlow {
  spec: FlowSpec;
  options: { external: string[]; freshThread: boolean; maxHeapMb: number | null };
  /** What the flow's own options say; null: nothing. */
  storage: StorageOptions | null;
  runConfig: RunConfig | null;
}
