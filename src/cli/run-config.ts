import { existsSync, readFileSync } from "node:fs";
import { toRunConfigOrNull, type WireRunConfig } from "../client/serialize-run-config.js";
import { checkRunEnv } from "../core/options/run-config.js";
import { usage } from "./command.js";

/**
 * The run config of one run: `given`, or when only variables are given the flow's own, with those variables besides. Undefined:
 * the run says nothing, and the flow group's or the flow's stands.
 * @throws USAGE, TASK_OPTIONS_INVALID
 */
export function runConfigOf(
  given: string | undefined,
  env: Readonly<Record<string, string>>,
  flows: WireRunConfig | null,
): WireRunConfig | undefined {
  if (given === undefined && Object.keys(env).length === 0) return undefined;
  // The flow's labels are found by the Cloud, which also knows the group's.
  const base = given === undefined ? { ...(flows ?? { type: "UniversalRun", env: null }), labels: null } : read(given);
  const config = { ...base, env: { ...base.env, ...env } };
  checkRunEnv(config.env);
  return config;
}

function read(given: string): WireRunConfig {
  const text = existsSync(given) ? readFileSync(given, "utf8") : given;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw usage(`--run-config is neither a file nor JSON: ${(error as Error).message}`, example);
  }
  const config = toRunConfigOrNull(value);
  if (!config) throw usage("--run-config has no `type`.", example);
  return config;
}

const example = 'For instance: --run-config \'{"type":"DockerRun","image":"acme/orders:7"}\'';
