import { MillraceError } from "../core/errors.js";
import type { CallRequest, FlowCode } from "./task-messages.js";
import { type CallOptions, type CallReply, TaskThread, type TaskThreadOptions } from "./task-thread.js";

/** So long may code that was told to stop, when its time was up or its run was cancelled, clean up after itself. */
const CLOSE_GRACE_MS = 500;

export interface TaskPoolOptions extends TaskThreadOptions {
  /** How many threads at most. */
  readonly size: number;
  /** Asked for each thread that is started. @throws why the flow's code is not to be had */
  readonly code: () => Promise<FlowCode>;
}

/**
 * The threads of one flow run's tasks. A thread starts when a call finds none idle, serves one call at a time, and lives
 * until the pool is closed, unless a call kills it, is stopped hard, or leaves code behind that throws later.
 *
 * A call that was told to stop does not count any more: its thread may take its time, and the next call gets another one.
 */
export class TaskPool {
  readonly #options: TaskPoolOptions;
  readonly #threads = new Set<TaskThread>();
  /** The one that was used last is at the end: its code is warm. */
  readonly #idle: TaskThread[] = [];
  /** Made ready for a call that is to come. */
  readonly #reserved: TaskThread[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #calls = new Set<Promise<unknown>>();
  readonly #ending = new Set<Promise<void>>();
  /** Threads that count against the size. */
  #counted = 0;
  #closed = false;

  constructor(options: TaskPoolOptions) {
    this.#options = options;
  }

  get threads(): number {
    return this.#threads.size;
  }

  /** Resolves when a thread stands ready for the next call, and is kept for it. @throws why none can be had */
  async ready(): Promise<void> {
    this.#reserved.push(await this.#acquire());
  }

  /** @throws `hardStop`'s reason; WORKER_… when the thread died; why the flow's code is not to be had; RUN_STOPPED once closed */
  async call(request: (thread: TaskThread) => Omit<CallRequest, "callId">, options: CallOptions): Promise<CallReply> {
    const kept = this.#reserved.pop();
    // It may have died while it was kept.
    if (kept?.ended) this.#drop(kept, true);
    const thread = kept && !kept.ended ? kept : await this.#acquire();
    let counts = true;
    const leave = () => {
      if (counts) this.#uncount();
      counts = false;
    };
    options.signal.addEventListener("abort", leave);
    let isSpoilt = false;
    try {
      options.hardStop.throwIfAborted();
      const call = thread.call(request(thread), options);
      this.#calls.add(call);
      const reply = await call.finally(() => this.#calls.delete(call));
      isSpoilt = reply.isSpoilt;
      return reply;
    } finally {
      options.signal.removeEventListener("abort", leave);
      if (!counts && this.#counted < this.#options.size) {
        this.#counted += 1;
        counts = true;
      }
      if (thread.ended || isSpoilt || !counts || this.#closed) this.#drop(thread, counts);
      else this.#giveBack(thread);
    }
  }

  /** Ends all threads; calls that are on them, and do not end within a moment, reject. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const resume of this.#waiting.splice(0)) resume();
    if (this.#calls.size > 0) await this.#callsEnd();
    for (const thread of this.#threads) this.#end(thread);
    await Promise.all(this.#ending);
  }

  async #callsEnd(): Promise<void> {
    const { promise: timeIsUp, resolve } = Promise.withResolvers<void>();
    const timer = setTimeout(resolve, CLOSE_GRACE_MS);
    await Promise.race([timeIsUp, Promise.allSettled(this.#calls)]);
    clearTimeout(timer);
  }

  async #acquire(): Promise<TaskThread> {
    for (;;) {
      if (this.#closed) throw new MillraceError("RUN_STOPPED", "The flow run's threads were closed.");
      const idle = this.#idle.pop();
      if (idle && !idle.ended) return idle;
      if (idle) this.#drop(idle, true);
      else if (this.#counted < this.#options.size) return this.#start();
      else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  async #start(): Promise<TaskThread> {
    this.#counted += 1;
    let thread: TaskThread | undefined;
    try {
      const code = await this.#options.code();
      if (this.#closed) throw new MillraceError("RUN_STOPPED", "The flow run's threads were closed.");
      thread = new TaskThread(this.#options);
      this.#threads.add(thread);
      await thread.load(code);
      return thread;
    } catch (error) {
      if (thread) this.#drop(thread, true);
      else this.#uncount();
      throw error;
    }
  }

  #giveBack(thread: TaskThread): void {
    this.#idle.push(thread);
    this.#waiting.shift()?.();
  }

  #drop(thread: TaskThread, counts: boolean): void {
    this.#end(thread);
    if (counts) this.#uncount();
  }

  #uncount(): void {
    this.#counted -= 1;
    this.#waiting.shift()?.();
  }

  #end(thread: TaskThread): void {
    this.#threads.delete(thread);
    const ending = thread.end().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }
}
