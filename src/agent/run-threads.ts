import { loadTrustedKeys } from "../storage/key-files.js";
import { ThreadPool } from "../threads/pool.js";
import { FlowCache } from "./flow-cache.js";
import { startFlowRun } from "./flow-runs.js";
import type { ServedRunConfigs } from "./run-config.js";
import type { ExecutorPorts, RunExecutor } from "./run-executor.js";

export interface RunThreadsOptions {
  /** How many runs at once. */
  threads: number;
  /** Undefined: run on this very thread. */
  env: Readonly<Record<string, string>> | undefined;
  requireSignedBy: readonly string[] | undefined;
  cancelGraceMs: number;
  serves: ServedRunConfigs;
  /** A saved flow that is here already: the runs' own, checked by its hash. */
  savedFlowFile?: string;
}

/** Runs in worker threads of this process, or on this very thread. @throws SIGNING_KEY_INVALID */
export async function prepareThreads(options: RunThreadsOptions): Promise<(ports: ExecutorPorts) => RunExecutor> {
  const { threads, env, requireSignedBy, cancelGraceMs, serves, savedFlowFile } = options;
  const trusted = requireSignedBy === undefined ? undefined : await loadTrustedKeys(requireSignedBy);
  return ({ cloud, agentId, stream, log }) => {
    const flows = new FlowCache(cloud, trusted, savedFlowFile);
    const onReplaced = (flowName: string, leftovers: readonly string[]) =>
      log(`A thread of flow "${flowName}" is replaced; its run left behind: ${leftovers.join(", ")}.`);
    const pool = env === undefined ? undefined : new ThreadPool({ threads, env, onReplaced });
    return {
      start: (run) => startFlowRun(run, { cloud, agentId, stream, pool, flows, cancelGraceMs, serves, log }),
      close: async () => pool?.close(),
    };
  };
}
