import { toFailure } from "../codec/failure.js";
import { isMillraceError, MillraceError } from "../core/errors.js";

/** What the caller knows of the thread that died. */
export interface DeathFacts {
  flowName: string;
  /** Of a thread that one task has to itself. */
  taskName?: string;
  maxHeapMb: number | null;
}

/** piscina tells of an exit in words only. */
const EXIT = /^worker exited with code: (-?\d+)$/;

/** Why a thread died, from what piscina rejects with: Node's own error for the thread, or its exit. */
export function toDeath(error: unknown, facts: DeathFacts): MillraceError {
  if (isMillraceError(error) && error.code.startsWith("WORKER_")) return error;
  const { code, message } = (typeof error === "object" && error !== null ? error : {}) as {
    code?: unknown;
    message?: unknown;
  };
  const of = facts.taskName === undefined ? `Flow "${facts.flowName}"` : `Task "${facts.taskName}"`;
  if (code === "ERR_WORKER_OUT_OF_MEMORY") {
    const limit = facts.maxHeapMb === null ? "V8's default limit" : `its limit of ${facts.maxHeapMb} MiB`;
    return new MillraceError(
      "WORKER_OUT_OF_MEMORY",
      `${of} ran its worker thread out of memory: the heap passed ${limit}.`,
      {
        hint: "Set the flow's `maxHeapMb` higher, or hold less in memory at once.",
        details: { maxHeapMb: facts.maxHeapMb },
      },
    );
  }
  const exit = typeof message === "string" ? EXIT.exec(message) : null;
  if (exit) {
    return new MillraceError("WORKER_EXITED", `${of} ended its worker thread with process.exit(${exit[1]}).`, {
      hint: "Return from the task, or throw an error, in place of process.exit().",
      details: { exitCode: Number(exit[1]) },
    });
  }
  // Node gives a lost promise's reason as it was thrown, or, when that is no Error, as an error of its own with the text.
  const failure = toFailure(error);
  return new MillraceError(
    "WORKER_UNCAUGHT",
    `${of} threw an error that nothing caught: ${failure.name}: ${failure.message}`,
    {
      hint: "Await every promise, and handle the 'error' events of what a task opens.",
      cause: error,
    },
  );
}
