import type { Readable } from "node:stream";
import { Worker } from "node:worker_threads";
import { fromFailure } from "../codec/failure.js";
import { MillraceError } from "../core/errors.js";
import { isHarmless } from "../threads/harmless-env.js";
import type { DescribedFlow, DescribeReply, DescribeRequest } from "../threads/messages.js";
import { workerFile } from "../threads/worker-file.js";

/** Time enough for the largest bundle on a busy machine; a module that takes longer is waiting for something. */
const LOAD_LIMIT_MS = 60_000;
/** So much of what the module prints is kept, to be shown when it fails. */
const MAX_PRINTED_CHARS = 4_000;

export interface DescribeOptions {
  /** Further variables that loading may see. */
  env?: Readonly<Record<string, string>>;
  limitMs?: number;
}

/**
 * Loads a bundle or a saved flow in a worker thread of its own and returns the flows that it builds. The thread has
 * none of this process's flags and few of its environment variables, as on an agent, and is gone when this returns.
 * What the module prints is not passed on: nobody asked for it to run.
 * @throws FLOW_LOAD_FAILED when the module throws, exits, or is not done in time; and what loading itself throws
 */
export async function describeInThread(
  request: DescribeRequest,
  options: DescribeOptions = {},
): Promise<DescribedFlow[]> {
  const limitMs = options.limitMs ?? LOAD_LIMIT_MS;
  const worker = new Worker(workerFile("describe-flow"), {
    workerData: request,
    env: { ...harmlessEnvironment(), ...options.env },
    execArgv: [],
    stdout: true,
    stderr: true,
  });
  const printed = [keepEnd(worker.stdout), keepEnd(worker.stderr)];
  try {
    const reply = await firstAnswer(worker, limitMs, () => printed.map((text) => text()).join(""));
    if ("failure" in reply) throw fromFailure(reply.failure);
    return reply.specs;
  } finally {
    await worker.terminate();
  }
}

function firstAnswer(worker: Worker, limitMs: number, printed: () => string): Promise<DescribeReply> {
  return new Promise((resolve, reject) => {
    const fail = (what: string, hint: string, cause?: unknown) => {
      const said = printed().trim();
      const message = `The flow's code ${what}${said === "" ? "." : `. It printed:\n${said}`}`;
      reject(new MillraceError("FLOW_LOAD_FAILED", message, { hint, ...(cause === undefined ? {} : { cause }) }));
    };
    const timer = setTimeout(
      () =>
        fail(
          `was not loaded within ${limitMs / 1000} s`,
          "Let the module's top level wait for nothing: connect and read inside tasks.",
        ),
      limitMs,
    );
    const settle = (then: () => void) => {
      clearTimeout(timer);
      then();
    };
    worker.once("message", (reply: DescribeReply) => settle(() => resolve(reply)));
    worker.once("error", (cause: Error) =>
      settle(() =>
        fail(
          `failed while it was loaded: ${cause.message}`,
          "Loading runs the module's top level: connect and read inside tasks.",
          cause,
        ),
      ),
    );
    worker.once("exit", (code) =>
      settle(() =>
        fail(
          `ended its thread (exit code ${code}) while it was loaded`,
          "Do not call process.exit() at the module's top level, or only behind `await` of deploy() or runAgent().",
        ),
      ),
    );
  });
}

/** What loading may see: what agents hand on to flow code. The rest of the environment is the deployer's own. */
function harmlessEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) =>
      value !== undefined && isHarmless(name) ? [[name, value]] : [],
    ),
  );
}

function keepEnd(stream: Readable): () => string {
  let text = "";
  stream.setEncoding("utf8").on("data", (chunk: string) => {
    text = (text + chunk).slice(-MAX_PRINTED_CHARS);
  });
  return () => text;
}
