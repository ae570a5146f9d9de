import { usage } from "./command.js";

/** `NAME=value` sets a variable, `NAME` hands on the command's own. @throws USAGE */
export function readEnv(given: readonly string[], own: NodeJS.ProcessEnv): Record<string, string> {
  const env: Record<string, string> = {};
  for (const each of given) {
    const at = each.indexOf("=");
    const name = at < 0 ? each : each.slice(0, at);
    if (name === "") throw usage(`--env takes NAME or NAME=value, and was given "${each}".`);
    if (name === "MILLRACE_API_TOKEN")
      throw usage("--env cannot hand the Cloud's token to flows.", "Flows reach the Cloud through their agent.");
    const value = at < 0 ? own[name] : each.slice(at + 1);
    if (value === undefined)
      throw usage(
        `--env ${name}: there is no such environment variable here.`,
        `Give it a value: --env ${name}=value.`,
      );
    env[name] = value;
  }
  return env;
}
