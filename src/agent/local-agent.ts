import { availableParallelism, hostname } from "node:os";
import { AgentLoop, type AgentOptions, DEFAULT_CANCEL_GRACE_MS } from "./agent-loop.js";
import { THREADS_SERVE } from "./run-config.js";
import { prepareThreads } from "./run-threads.js";
import { threadEnv } from "./thread-env.js";

/** Options of a LocalAgent; all but `cloud` are optional. Labels: by default the hostname alone. */
export interface LocalAgentOptions extends AgentOptions {
  /** How many runs at once. Default: one less than the processors, 1 at least; inline always 1. */
  threads?: number;
  /** "thread" (default): worker threads. "inline": this very thread, for breakpoints and embedding. */
  mode?: "thread" | "inline";
  /** Environment variables that flow code may see besides a short list of harmless ones: names, or names and values. */
  env?: readonly string[] | Readonly<Record<string, string>>;
  /**
   * Take flows that are signed by one of these keys, and end the runs of others Failed: paths of public keys (PEM), or the
   * PEM itself. Default: any flow.
   */
  requireSignedBy?: readonly string[];
}

/**
 * Takes flow runs from a Cloud and runs them here, in worker threads: as many as it has threads. Of run configs it serves
 * universal and local ones.
 *
 * @example
 * const agent = new LocalAgent({ cloud: openCloud({ url, token }), labels: ["gpu-1"] });
 * process.once("SIGTERM", () => agent.stop());
 * await agent.run();
 */
export class LocalAgent extends AgentLoop {
  /** @throws AGENT_LABELS_INVALID */
  constructor(options: LocalAgentOptions) {
    const { mode = "thread", env = [], cancelGraceMs = DEFAULT_CANCEL_GRACE_MS, requireSignedBy } = options;
    const threads = mode === "inline" ? 1 : Math.max(1, options.threads ?? availableParallelism() - 1);
    super(options, {
      type: "LocalAgent",
      labels: options.labels ?? [hostname()],
      limit: threads,
      prepare: () =>
        prepareThreads({
          threads,
          env: mode === "inline" ? undefined : threadEnv(env),
          requireSignedBy,
          cancelGraceMs,
          serves: THREADS_SERVE,
        }),
    });
  }
}
