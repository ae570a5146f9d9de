import { homedir } from "node:os";
import { join } from "node:path";

/** The user's Millrace folder: `MILLRACE_HOME`, or `~/.millrace`. Flows, results, logins and the Cloud's database live here. */
export function millraceHome(env: NodeJS.ProcessEnv = process.env): string {
  return env.MILLRACE_HOME ?? join(homedir(), ".millrace");
}
