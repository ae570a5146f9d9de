import type { WireRunConfig } from "../client/serialize-run-config.js";
import { MillraceError } from "../core/errors.js";
import { checkRunEnv } from "../core/options/run-config.js";

/** Kinds of run config, by Prefect's names; "any": whoever started this process has seen to the rest. */
export type ServedRunConfigs = readonly string[] | "any";

/** What threads of an agent can do for a run. */
export const THREADS_SERVE: ServedRunConfigs = ["UniversalRun", "LocalRun"];

/**
 * The environment that a run asks for, of an agent that can serve it.
 * @throws RUN_CONFIG_UNSUPPORTED, TASK_OPTIONS_INVALID for names or values that no run may set
 */
export function envOfRun(config: WireRunConfig | null | undefined, serves: ServedRunConfigs): Record<string, string> {
  if (!config) return {};
  const { type, env, working_dir } = config;
  if (serves !== "any" && !serves.includes(type)) {
    const served = serves.map((each) => `\`${each}\``).join(" and ");
    throw unsupported(
      `The run asks for \`${type}\`, and only ${served} ${serves.length === 1 ? "is" : "are"} supported by this agent.`,
      "Give the run the labels of an agent that serves this kind, or another run config.",
    );
  }
  if (serves !== "any" && typeof working_dir === "string" && working_dir !== "") {
    throw unsupported(
      `The run asks for the folder "${working_dir}", and this agent's threads share one with all other runs.`,
      "Hand the folder to the flow as a parameter or in env, or run it by `millrace execute`, which honours workingDir.",
    );
  }
  if (env) checkRunEnv(env);
  return env ?? {};
}

function unsupported(message: string, hint: string): MillraceError {
  return new MillraceError("RUN_CONFIG_UNSUPPORTED", message, { hint });
}
