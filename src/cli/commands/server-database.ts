import { join } from "node:path";
import { millraceHome } from "../../core/home.js";
import type { Context } from "../command.js";

/** The option that says where a Cloud's database is, and what it says. */
export const DATABASE_OPTION = [
  "--database <place>",
  "path of a SQLite file, or postgres://user:password@host/database (default: MILLRACE_DATABASE, or millrace.db in MILLRACE_HOME, which is ~/.millrace)",
] as const;

/** The database of the option, of the environment, or in Millrace's home. It may hold a password: show it with `shownPlace`. */
export function databasePlace({ env }: Context, option: string | undefined): string {
  return option ?? (env.MILLRACE_DATABASE || join(millraceHome(env), "millrace.db"));
}
