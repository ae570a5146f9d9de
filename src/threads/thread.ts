import { Piscina } from "piscina";
import { MillraceError } from "../core/errors.js";
import { type DeathFacts, toDeath } from "./death.js";

export interface ThreadOptions {
  /** The worker file; it exports the function `run`. */
  file: URL;
  /** All of the environment that the thread sees. */
  env: Readonly<Record<string, string>>;
  maxHeapMb: number | null;
}

export interface ThreadTaskOptions {
  flowName: string;
  /** Set where one task has the thread to itself: it is to blame then. */
  taskName?: string;
  transfer: readonly unknown[];
  /** Ends the thread, whatever it is doing; its reason is what `run` rejects with. */
  signal: AbortSignal;
}

/**
 * One worker thread, one task at a time: a piscina of one, so that a thread can be stopped, replaced and blamed alone. The
 * thread starts with the first task.
 */
export class Thread {
  /** How many tasks it has finished. */
  served = 0;
  readonly #pool: Piscina;
  readonly #maxHeapMb: number | null;
  #ended: Promise<void> | undefined;
  /** Why the thread cannot be used any more, where that is known before, or better than, from the task's rejection. */
  #fault: unknown;

  constructor(options: ThreadOptions) {
    this.#maxHeapMb = options.maxHeapMb;
    this.#pool = new Piscina({
      filename: options.file.href,
      name: "run",
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Number.POSITIVE_INFINITY,
      // Timers and sockets of a run must go on, and be seen to go on, between tasks.
      atomics: "disabled",
      recordTiming: false,
      env: { ...options.env },
      // The host's own flags (loaders, --input-type, --eval) are not for the worker file.
      execArgv: [],
      ...(options.maxHeapMb === null ? {} : { resourceLimits: { maxOldGenerationSizeMb: options.maxHeapMb } }),
    });
    // The thread died while piscina saw no task on it: while it started, or between two tasks.
    this.#pool.on("error", (error) => void this.end(error));
    this.#pool.on("workerCreate", (info) => guardAnswers(info, (error) => void this.end(error)));
  }

  get ended(): boolean {
    return this.#ended !== undefined;
  }

  /** @throws the signal's reason, or why the thread died: WORKER_EXITED, WORKER_OUT_OF_MEMORY, WORKER_UNCAUGHT, WORKER_PROTOCOL */
  async run(task: unknown, options: ThreadTaskOptions): Promise<unknown> {
    const { signal, flowName, taskName } = options;
    try {
      const answer = await this.#pool.run(task, { transferList: [...options.transfer] as never[], signal });
      this.served += 1;
      return answer;
    } catch (error) {
      void this.end(error);
      if (signal.aborted) throw signal.reason;
      const facts: DeathFacts = {
        flowName,
        maxHeapMb: this.#maxHeapMb,
        ...(taskName === undefined ? {} : { taskName }),
      };
      throw toDeath(this.#fault ?? error, facts);
    }
  }

  /** Ends the thread at once; a task that is on it rejects. Resolves when the thread is gone. */
  end(fault?: unknown): Promise<void> {
    this.#fault ??= fault;
    this.#ended ??= this.#pool.destroy();
    return this.#ended;
  }
}

interface WorkerInfo {
  onMessage(message: unknown): void;
  taskInfos: ReadonlyMap<unknown, unknown>;
}

/**
 * piscina takes whatever comes over its own port for an answer and throws, out of reach, on one that is no object. Flow code
 * is kept from that port (harden.ts); should it get there all the same, this keeps the agent's thread alive.
 */
function guardAnswers(info: object, refuse: (error: MillraceError) => void): void {
  const [key] = Object.getOwnPropertySymbols(info);
  const worker = key === undefined ? undefined : ((info as Record<symbol, unknown>)[key] as WorkerInfo | undefined);
  if (typeof worker?.onMessage !== "function" || !(worker.taskInfos instanceof Map)) {
    refuse(new MillraceError("INTERNAL", "This version of piscina does not let its answers be checked."));
    return;
  }
  const { onMessage } = worker;
  worker.onMessage = (message) => {
    const taskId =
      typeof message === "object" && message !== null ? (message as { taskId?: unknown }).taskId : undefined;
    if (worker.taskInfos.has(taskId)) onMessage(message);
    else refuse(new MillraceError("WORKER_PROTOCOL", "A worker thread answered a task that it does not have."));
  };
}
