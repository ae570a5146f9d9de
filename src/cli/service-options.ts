import type { Command } from "commander";
import type { ServerOptions } from "../server/index.js";
import { wholeNumber } from "./command.js";

/** What a user may say of the Cloud's services on the command line; the rest of them is for who starts a Cloud in code. */
export interface ServiceFlags {
  keepRuns?: number;
  lateAfter?: number;
  silentAfter?: number;
}

const MOST_DAYS = 36_500;
const MOST_MINUTES = 24 * 60;
const MOST_SECONDS = 24 * 60 * 60;

export function addServiceFlags(command: Command): Command {
  return command
    .option(
      "--keep-runs <days>",
      "delete runs so many days after they ended (default: never)",
      wholeNumber("--keep-runs", 1, MOST_DAYS),
    )
    .option(
      "--late-after <seconds>",
      "note a run as late when no agent has taken it for so long (default: 15)",
      wholeNumber("--late-after", 1, MOST_SECONDS),
    )
    .option(
      "--silent-after <minutes>",
      "take a Python run for dead when its last heartbeat is so old (default: 10)",
      wholeNumber("--silent-after", 1, MOST_MINUTES),
    );
}

export function servicesOf({ keepRuns, lateAfter, silentAfter }: ServiceFlags): NonNullable<ServerOptions["services"]> {
  return {
    ...(keepRuns === undefined ? {} : { retention: { runsDays: keepRuns } }),
    ...(lateAfter === undefined ? {} : { late: { afterMs: lateAfter * 1_000 } }),
    ...(silentAfter === undefined ? {} : { heartbeats: { silentAfterMs: silentAfter * 60_000 } }),
  };
}
