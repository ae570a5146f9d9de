import { MillraceError } from "../errors.js";
import { normalizeLabels } from "../labels.js";

/** How the runs of a flow, or one run, are to be run: plain data, made by `runConfigs`. */
export type RunConfig = UniversalRunConfig | LocalRunConfig | DockerRunConfig;

/** What every kind of run config may say. */
export interface RunConfigOptions {
  /** Environment variables for the flow's code. */
  readonly env?: Readonly<Record<string, string>>;
  /** Labels that an agent must carry; at deploy they come to the others, for one run they stand in place of them. */
  readonly labels?: readonly string[];
}

export interface UniversalRunConfig extends RunConfigOptions {
  readonly kind: "universal";
}

export interface LocalRunConfig extends RunConfigOptions {
  readonly kind: "local";
  /** The folder that the run's process works in; `millrace execute` honours it. */
  readonly workingDir?: string;
}

export interface DockerRunConfig extends RunConfigOptions {
  readonly kind: "docker";
  /** Default: the agent's. */
  readonly image?: string;
  /** The most memory the container may use, in MiB; a run that needs more is killed. Default: the agent's. */
  readonly memoryMb?: number;
  /** Processors that the container may keep busy, for instance 0.5. Default: the agent's. */
  readonly cpus?: number;
}

/** What no run may set: with the one it could act as its agent, with the others say how its own process is loaded. */
const KEPT_NAMES: ReadonlySet<string> = new Set([
  ...["MILLRACE_API_TOKEN", "MILLRACE_AGENT_ID", "MILLRACE_CLAIM_ID", "NODE_OPTIONS"],
]);

/** Docker's own least. */
const LEAST_MEMORY_MB = 6;

/**
 * Run configs: what kind of agent may take a run, and with which environment. They are given to `flow()`, to `deploy()` and
 * to a single run; the one nearest to the run stands, whole.
 * @example
 * const orders = flow("orders", { runConfig: runConfigs.docker({ image: "acme/orders:7", memoryMb: 512 }) }, build);
 */
export const runConfigs = {
  /** For any agent. @throws TASK_OPTIONS_INVALID */
  universal(options: RunConfigOptions = {}): UniversalRunConfig {
    return checked("universal", options, []);
  },
  /** For agents that run flows on their own machine. @throws TASK_OPTIONS_INVALID */
  local(options: Omit<LocalRunConfig, "kind"> = {}): LocalRunConfig {
    return checked("local", options, ["workingDir"]);
  },
  /** For a DockerAgent. @throws TASK_OPTIONS_INVALID */
  docker(options: Omit<DockerRunConfig, "kind"> = {}): DockerRunConfig {
    return checked("docker", options, ["image", "memoryMb", "cpus"]);
  },
} as const;

/** An environment that a run may be given. @throws TASK_OPTIONS_INVALID */
export function checkRunEnv(env: Readonly<Record<string, unknown>>): void {
  for (const [name, value] of Object.entries(env)) {
    if (!/^[^=\0]+$/.test(name)) throw invalid(`names an environment variable ${JSON.stringify(name)}`);
    if (typeof value !== "string" || value.includes("\0"))
      throw invalid(`gives the environment variable ${name} ${JSON.stringify(value)}, which is no text`);
    if (KEPT_NAMES.has(name.toUpperCase())) throw invalid(`sets ${name}, which belongs to the agent`);
  }
}

function checked<Config extends RunConfig>(
  kind: Config["kind"],
  options: Omit<Config, "kind">,
  fields: readonly string[],
): Config {
  const { env, labels, ...rest } = options as Omit<Config, "kind"> & Record<string, unknown>;
  for (const [field, value] of Object.entries(rest)) {
    if (!fields.includes(field)) throw invalid(`of the kind "${kind}" has no "${field}"`);
    if (value !== undefined) checkField(field, value);
  }
  if (env !== undefined) {
    if (typeof env !== "object" || env === null || Array.isArray(env)) throw invalid("takes env as names and values");
    checkRunEnv(env as Record<string, unknown>);
  }
  const isLabels = Array.isArray(labels) && labels.every((each) => typeof each === "string" && each.trim() !== "");
  if (labels !== undefined && !isLabels)
    throw invalid(`takes labels as words, and was given ${JSON.stringify(labels)}`);
  return Object.freeze({
    ...Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined)),
    kind,
    ...(env === undefined ? {} : { env: Object.freeze({ ...env }) }),
    ...(labels === undefined ? {} : { labels: normalizeLabels(labels as string[]) }),
  }) as unknown as Config;
}

function checkField(field: string, value: unknown): void {
  const isGood =
    field === "memoryMb"
      ? Number.isFinite(value) && (value as number) >= LEAST_MEMORY_MB
      : field === "cpus"
        ? Number.isFinite(value) && (value as number) > 0
        : typeof value === "string" && value.trim() !== "";
  if (!isGood) throw invalid(`takes no ${field} of ${JSON.stringify(value)}`);
}

function invalid(what: string): MillraceError {
  return new MillraceError("TASK_OPTIONS_INVALID", `A run config ${what}.`, {
    hint: "See `runConfigs` in docs/docker-agent.md.",
  });
}
