import { isHarmless } from "../threads/harmless-env.js";

/** Never handed on, not even by name: with it flow code could do all that the agent's user can. */
const NEVER = new Set(["MILLRACE_API_TOKEN", "MILLRACE_AGENT_ID", "MILLRACE_CLAIM_ID"]);

/** This process's whole environment, for where it was made for one run: a container's. @param env Default: this process's. */
export function wholeEnv(env: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const { NODE_OPTIONS: _, ...rest } = env;
  return threadEnv(
    Object.fromEntries(Object.entries(rest).filter((entry): entry is [string, string] => entry[1] !== undefined)),
  );
}

/** Does something on this very thread under further variables, which are then as they were. */
export async function withEnv<T>(env: Readonly<Record<string, string>>, work: () => Promise<T>): Promise<T> {
  const before = Object.keys(env).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, env);
  try {
    return await work();
  } finally {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  }
}

/**
 * The whole environment of the agent's threads.
 * @param more Names of further variables to hand on, or names and values to add.
 */
export function threadEnv(
  more: readonly string[] | Readonly<Record<string, string>> = [],
  env: NodeJS.ProcessEnv = process.env,
): Record<string, string> {
  const names = Array.isArray(more) ? new Set<string>(more) : new Set<string>();
  const seen: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined || NEVER.has(name)) continue;
    if (isHarmless(name) || names.has(name)) seen[name] = value;
  }
  if (!Array.isArray(more)) for (const [name, value] of Object.entries(more)) if (!NEVER.has(name)) seen[name] = value;
  return seen;
}
