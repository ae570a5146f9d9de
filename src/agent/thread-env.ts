import { isHarmless } from "../threads/harmless-env.js";

/** Never handed on, not even by name: with it flow code could do all that the agent's user can. */
const NEVER = new Set(["MILLRACE_API_TOKEN"]);

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
