import { MessageChannel } from "node:worker_threads";
import { isMillraceError, MillraceError } from "../core/errors.js";
import { isStateType } from "../core/state.js";
import { type ExposedHost, exposeHost } from "./endpoint.js";
import type { FlowRunTask, FlowRunTaskReply, RunHost, RunReply, RunRequest } from "./messages.js";
import { Thread } from "./thread.js";
import { workerFile } from "./worker-file.js";

/** An idle thread is kept this long: a first task on a new thread costs 50–150 ms, an idle thread about 13 MB. */
export const IDLE_THREAD_MS = 5 * 60_000;

export interface ThreadPoolOptions {
  /** How many threads at most, over all flows. */
  threads: number;
  /** All of the environment that flow code sees. */
  env: Readonly<Record<string, string>>;
  /** Default {@link IDLE_THREAD_MS}. */
  idleThreadMs?: number;
  /** Told when a thread is replaced, with the reason. */
  onReplaced?: (flowName: string, leftovers: readonly string[]) => void;
}

export interface PoolRunOptions {
  /** End the thread after this run. */
  freshThread: boolean;
  maxHeapMb: number | null;
  /** What the run's code sees besides the pool's environment, and in place of it. Default: nothing. */
  env?: Readonly<Record<string, string>>;
  /** Stops the run hard: its thread is ended. `signal.reason` is what `run` rejects with. */
  signal: AbortSignal;
}

/**
 * The agent's worker threads. A thread serves one version of one flow (the saved flow's hash) under one memory limit and
 * one environment, and one run at a time; all of them together stay under one cap. A run takes an idle thread of its flow, or a new one, for
 * which, at the cap, the thread that was idle longest makes room; when all are busy it waits its turn. A thread is ended
 * after a run that wanted it for itself, left something behind, did not come to its own end, was stopped or killed it, and
 * after long idleness.
 */
export class ThreadPool {
  readonly #options: ThreadPoolOptions;
  readonly #busy = new Set<Thread>();
  /** The longest idle first. */
  readonly #idle = new Map<Thread, { key: string; since: number }>();
  /** Runs that wait for a thread, the longest waiting first. */
  readonly #waiting = new Set<() => void>();
  readonly #ending = new Set<Promise<void>>();
  #sweep: NodeJS.Timeout | undefined;
  #closed = false;

  constructor(options: ThreadPoolOptions) {
    this.#options = options;
  }

  /** Threads that exist, by what they do. */
  get counts(): { busy: number; idle: number } {
    return { busy: this.#busy.size, idle: this.#idle.size };
  }

  /**
   * Runs one flow run on a thread, with `host` as all that the thread can reach.
   * @throws the signal's reason; WORKER_EXITED, WORKER_OUT_OF_MEMORY, WORKER_UNCAUGHT when the thread died; WORKER_PROTOCOL
   */
  async run(request: RunRequest, host: RunHost, options: PoolRunOptions): Promise<RunReply> {
    for (let another = false; ; another = true) {
      const thread = await this.#take(request, options, another);
      const used = thread.served > 0;
      const channel = this.#open(host, options.signal);
      let reusable = false;
      try {
        const { reply, leftovers } = await runOn(thread, request, channel);
        if (leftovers.length > 0) this.#options.onReplaced?.(request.flowName, leftovers);
        // What a run that did not begin, or was broken off, has done to its thread is not known: Node keeps a module that
        // failed to load, and code may still be at it.
        reusable = reply.outcome === "done" && leftovers.length === 0 && !options.freshThread;
        return reply;
      } catch (error) {
        // Died before this run did anything, with another run's code on the thread: that run's doing, not this one's.
        const blameless = used && channel.exposed.reports === 0 && !another && isDeath(error);
        if (!blameless) throw error;
      } finally {
        channel.close();
        this.#give(thread, keyOf(request, options), reusable);
      }
    }
  }

  /** Ends all threads; runs that are on them reject. */
  async close(): Promise<void> {
    this.#closed = true;
    clearTimeout(this.#sweep);
    for (const thread of [...this.#busy, ...this.#idle.keys()]) this.#end(thread);
    this.#idle.clear();
    for (const resume of this.#waiting) resume();
    await Promise.all(this.#ending);
  }

  async #take(request: RunRequest, options: PoolRunOptions, another: boolean): Promise<Thread> {
    options.signal.throwIfAborted();
    while (this.#busy.size >= this.#options.threads && !this.#closed) await this.#turn(options.signal);
    if (this.#closed) throw new MillraceError("RUN_STOPPED", "The agent's threads were closed.");
    const key = keyOf(request, options);
    let thread = another || options.freshThread ? undefined : this.#idleThread(key);
    if (!thread && this.#busy.size + this.#idle.size >= this.#options.threads) this.#evict();
    const env = { ...this.#options.env, ...options.env };
    thread ??= new Thread({ file: workerFile("flow-run"), env, maxHeapMb: options.maxHeapMb });
    this.#idle.delete(thread);
    this.#busy.add(thread);
    return thread;
  }

  /** Resolves when a thread gets free. @throws the signal's reason, as soon as it fires; the turn is then the next one's */
  async #turn(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const resume = () => resolve();
    this.#waiting.add(resume);
    signal.addEventListener("abort", resume);
    await promise;
    signal.removeEventListener("abort", resume);
    const isWoken = !this.#waiting.delete(resume);
    if (!signal.aborted) return;
    if (isWoken) this.#wake();
    throw signal.reason;
  }

  #wake(): void {
    const [next] = this.#waiting;
    if (!next) return;
    this.#waiting.delete(next);
    next();
  }

  /** The one that was used last, so that the others may grow old. */
  #idleThread(key: string): Thread | undefined {
    let found: Thread | undefined;
    for (const [thread, idle] of this.#idle) {
      if (thread.ended) this.#idle.delete(thread);
      else if (idle.key === key) found = thread;
    }
    return found;
  }

  #evict(): void {
    const [oldest] = this.#idle.keys();
    if (!oldest) return;
    this.#idle.delete(oldest);
    this.#end(oldest);
  }

  #give(thread: Thread, key: string, reusable: boolean): void {
    this.#busy.delete(thread);
    if (reusable && !thread.ended && !this.#closed) {
      this.#idle.set(thread, { key, since: performance.now() });
      this.#sweepLater();
    } else {
      this.#end(thread);
    }
    this.#wake();
  }

  #end(thread: Thread): void {
    const ending = thread.end().finally(() => this.#ending.delete(ending));
    this.#ending.add(ending);
  }

  #sweepLater(): void {
    if (this.#sweep) return;
    const after = this.#options.idleThreadMs ?? IDLE_THREAD_MS;
    this.#sweep = setTimeout(() => {
      this.#sweep = undefined;
      for (const [thread, { since }] of this.#idle) {
        if (performance.now() - since < after) break;
        this.#idle.delete(thread);
        this.#end(thread);
      }
      if (this.#idle.size > 0) this.#sweepLater();
    }, after).unref();
  }

  #open(host: RunHost, signal: AbortSignal): Channel {
    const { port1, port2 } = new MessageChannel();
    const stop = new AbortController();
    const pass = () => stop.abort(signal.reason);
    if (signal.aborted) pass();
    signal.addEventListener("abort", pass);
    const exposed = exposeHost(port1, host, (error) => stop.abort(error));
    const close = () => {
      signal.removeEventListener("abort", pass);
      exposed.close();
      // Still here when the task was never handed over.
      port2.close();
    };
    return { port: port2, signal: stop.signal, exposed, close };
  }
}

interface Channel {
  port: FlowRunTask["port"];
  signal: AbortSignal;
  exposed: ExposedHost;
  close(): void;
}

async function runOn(thread: Thread, request: RunRequest, channel: Channel): Promise<FlowRunTaskReply> {
  const task: FlowRunTask = { request, port: channel.port };
  const answer = await thread.run(task, {
    flowName: request.flowName,
    transfer: [channel.port],
    signal: channel.signal,
  });
  if (isReply(answer)) return answer;
  throw new MillraceError(
    "WORKER_PROTOCOL",
    `The worker thread of flow "${request.flowName}" answered with something else than a reply.`,
  );
}

function isReply(answer: unknown): answer is FlowRunTaskReply {
  if (typeof answer !== "object" || answer === null) return false;
  const { reply, leftovers } = answer as Partial<FlowRunTaskReply>;
  if (!Array.isArray(leftovers) || !leftovers.every((each) => typeof each === "string")) return false;
  if (typeof reply !== "object" || reply === null) return false;
  if (reply.outcome === "done") return isStateType(reply.state);
  if (reply.outcome === "waiting") return reply.dueAt === null || typeof reply.dueAt === "string";
  return (
    (reply.outcome === "not started" || reply.outcome === "broken off") && typeof reply.failure?.message === "string"
  );
}

function keyOf(request: RunRequest, options: PoolRunOptions): string {
  const env = Object.entries(options.env ?? {}).sort();
  return `${request.savedFlowHash} ${options.maxHeapMb ?? ""}${env.length === 0 ? "" : JSON.stringify(env)}`;
}

function isDeath(error: unknown): boolean {
  return isMillraceError(error, "WORKER_EXITED") || isMillraceError(error, "WORKER_UNCAUGHT");
}
