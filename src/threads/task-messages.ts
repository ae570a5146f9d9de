import type { MessagePort } from "node:worker_threads";
import type { CallOutcome } from "../codec/call-outcome.js";
import type { Crossing } from "../codec/crossing.js";
import type { FailureRecord } from "../codec/failure.js";
import type { LogLevel } from "../core/context.js";

/*
 * What crosses between the thread of a flow run and the threads of its tasks: types only. Calls and their outcomes are
 * piscina's tasks; log lines, abort signals and questions, which come in between, go over one MessagePort a thread.
 *
 * Why so, measured on one thread: a call without any port takes 156 µs, with a line over the thread's port no more, with a
 * line as an awaited comlink call 280, and with a port of its own that nothing uses 265.
 */

/** A flow's code on this machine's disk: an unpacked bundle, and what loading it must build. */
export interface FlowCode {
  moduleUrl: string;
  flowName: string;
  /** See `execute/hash-tasks`. */
  tasksHash: string;
}

/** The tasks that piscina hands to `workers/task-run`: one to load the flow, then any number of calls, one at a time. */
export type TaskThreadRequest =
  | { about: "load"; code: FlowCode; port: MessagePort }
  | { about: "call"; call: CallRequest };

export interface CallRequest {
  /** Counts up on each thread. */
  callId: number;
  taskSlug: string;
  args: Crossing;
  facts: CallFacts;
  /** With the first call on a thread. */
  run: RunFacts | null;
}

/** What of a task's context is data, and differs from call to call. */
export interface CallFacts {
  fields: Record<string, unknown>;
  loopResult: Crossing;
  resumeInput: Crossing;
}

/** What all calls of a flow run share. */
export interface RunFacts {
  fields: Record<string, unknown>;
  /** Or why they cannot cross, for who asks for them. */
  parameters: Crossing | FailureRecord;
}

/** What those tasks resolve with. They never reject by themselves: a rejection is a thread that died. */
export type TaskThreadReply =
  | { about: "load"; failure: FailureRecord | null }
  /** `isSpoilt`: an earlier call's code went on and threw; the thread is not used again. */
  | { about: "call"; outcome: CallOutcome; isSpoilt: boolean };

/** Over the port, from a thread of a task. */
export type FromTaskThread =
  | { about: "log"; callId: number; level: LogLevel; message: string }
  | { about: "secret"; callId: number; askId: number; name: string };

/** Over the port, to a thread of a task. */
export type ToTaskThread =
  | { about: "abort"; callId: number; reason: FailureRecord }
  | { about: "answer"; askId: number; answer: Crossing | FailureRecord };
