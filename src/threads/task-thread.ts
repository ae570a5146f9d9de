import { setMaxListeners } from "node:events";
import { MessageChannel } from "node:worker_threads";
import { transferOf } from "../codec/crossing.js";
import { fromFailure } from "../codec/failure.js";
import { MillraceError } from "../core/errors.js";
import type { CallRequest, FlowCode, TaskThreadReply, TaskThreadRequest } from "./task-messages.js";
import { type CallLinks, type ServedPort, servePort } from "./task-port.js";
import { Thread } from "./thread.js";
import { workerFile } from "./worker-file.js";

export interface TaskThreadOptions {
  readonly flowName: string;
  /** All of the environment that the tasks see. */
  readonly env: Readonly<Record<string, string>>;
  readonly maxHeapMb: number | null;
  /** How long loading the flow may take, in milliseconds. */
  readonly loadLimitMs: number;
}

export interface CallOptions extends CallLinks {
  readonly taskName: string;
  /** Ends the thread, whatever the code does. */
  readonly hardStop: AbortSignal;
}

export type CallReply = TaskThreadReply & { about: "call" };

/** One thread that calls tasks of one flow run, one at a time. */
export class TaskThread {
  readonly #options: TaskThreadOptions;
  readonly #thread: Thread;
  #port: ServedPort | undefined;
  #calls = 0;

  constructor(options: TaskThreadOptions) {
    this.#options = options;
    this.#thread = new Thread({ file: workerFile("task-run"), env: options.env, maxHeapMb: options.maxHeapMb });
  }

  get ended(): boolean {
    return this.#thread.ended;
  }

  /** Has it called a task before? Then it knows what calls share. */
  get used(): boolean {
    return this.#calls > 0;
  }

  /** @throws why the flow cannot be loaded there; FLOW_LOAD_FAILED when that takes too long; WORKER_… */
  async load(code: FlowCode): Promise<void> {
    const { flowName, loadLimitMs } = this.#options;
    const { port1, port2 } = new MessageChannel();
    this.#port = servePort(port1, (what) => void this.end(protocolError(flowName, what)));
    const late = new AbortController();
    const timer = setTimeout(() => late.abort(tooLate(flowName, loadLimitMs)), loadLimitMs);
    try {
      const request: TaskThreadRequest = { about: "load", code, port: port2 };
      const reply = await this.#thread.run(request, { flowName, transfer: [port2], signal: late.signal });
      if (!isReply(reply, "load")) throw protocolError(flowName, "something else than a reply");
      if (reply.failure) throw fromFailure(reply.failure);
    } finally {
      clearTimeout(timer);
    }
  }

  /** Calls a task. @throws `hardStop`'s reason, or why the thread died: WORKER_… */
  async call(request: Omit<CallRequest, "callId">, options: CallOptions): Promise<CallReply> {
    const { flowName } = this.#options;
    const { taskName, hardStop } = options;
    this.#calls += 1;
    const call: CallRequest = { ...request, callId: this.#calls };
    const stopServing = this.#port!.serve(call.callId, options);
    // The engine may have one signal for all calls that nothing stops, and there may be more threads than Node's ten.
    setMaxListeners(0, hardStop);
    try {
      const reply = await this.#thread.run({ about: "call", call } satisfies TaskThreadRequest, {
        flowName,
        taskName,
        transfer: transferOf([call.args]),
        signal: hardStop,
      });
      if (!isReply(reply, "call")) throw protocolError(flowName, "something else than a reply");
      return reply;
    } finally {
      stopServing();
    }
  }

  /** Ends the thread at once; a call that is on it rejects. Resolves when the thread is gone. */
  end(fault?: unknown): Promise<void> {
    this.#port?.close();
    return this.#thread.end(fault);
  }
}

function tooLate(flowName: string, limitMs: number): MillraceError {
  const message = `Flow "${flowName}" was not loaded within ${limitMs / 1_000} s in a thread for its tasks.`;
  const hint = "Let the module's top level wait for nothing: connect and read inside tasks.";
  return new MillraceError("FLOW_LOAD_FAILED", message, { hint });
}

function protocolError(flowName: string, what: string): MillraceError {
  return new MillraceError("WORKER_PROTOCOL", `A thread for tasks of flow "${flowName}" sent ${what}.`);
}

function isReply<About extends TaskThreadReply["about"]>(
  reply: unknown,
  about: About,
): reply is TaskThreadReply & { about: About } {
  return typeof reply === "object" && reply !== null && (reply as { about?: unknown }).about === about;
}
