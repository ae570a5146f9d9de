import type { RunConfig } from "../core/options/run-config.js";

/** A run config as Prefect 1.4.1 serializes it (section 1.6 of the protocol notes): the fields that its kind has, and these. */
export interface WireRunConfig {
  /** `UniversalRun`, `LocalRun`, `DockerRun`, or a kind that only Prefect's agents serve. */
  type: string;
  env: Record<string, string> | null;
  labels: string[] | null;
  /** Of a LocalRun. */
  working_dir?: string | null;
  /** Of a DockerRun. */
  image?: string | null;
  /** Of a DockerRun: what docker-py takes, of which `mem_limit` and `nano_cpus` are read here. */
  host_config?: Record<string, unknown> | null;
  ports?: readonly number[] | null;
}

const NANO = 1e9;
const MIB = 1024 ** 2;

/** One that stands in Prefect's form already is handed on. */
export function toWireRunConfig(config: RunConfig | WireRunConfig): WireRunConfig {
  if ("type" in config) return config;
  const shared = { env: config.env ? { ...config.env } : null, labels: config.labels ? [...config.labels] : null };
  if (config.kind === "universal") return { type: "UniversalRun", ...shared };
  if (config.kind === "local") return { type: "LocalRun", ...shared, working_dir: config.workingDir ?? null };
  const { image, memoryMb, cpus } = config;
  const host_config = {
    ...(memoryMb === undefined ? {} : { mem_limit: Math.round(memoryMb * MIB) }),
    ...(cpus === undefined ? {} : { nano_cpus: Math.round(cpus * NANO) }),
  };
  return {
    type: "DockerRun",
    ...shared,
    image: image ?? null,
    ports: null,
    host_config: Object.keys(host_config).length === 0 ? null : host_config,
  };
}

/** What the Cloud keeps may come from any client; what has no type says nothing. */
export function toRunConfigOrNull(value: unknown): WireRunConfig | null {
  if (typeof value !== "object" || value === null) return null;
  const { type, env, labels } = value as Partial<Record<keyof WireRunConfig, unknown>>;
  if (typeof type !== "string") return null;
  return { ...value, type, env: toEnv(env), labels: Array.isArray(labels) ? labels.map(String) : null };
}

function toEnv(env: unknown): Record<string, string> | null {
  if (typeof env !== "object" || env === null) return null;
  return Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)]));
}
