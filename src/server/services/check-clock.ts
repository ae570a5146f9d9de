import { postgresNow } from "../../db/queries/services.js";
import type { ServerParts } from "../parts.js";

/**
 * How far a server's clock may lie from the database's. Two servers lie twice as far apart at most, which is less than what a
 * lease may seem to come from the future by (`CLOCK_SKEW_MS` in reaper.ts).
 */
export const MAX_CLOCK_DIFFERENCE_MS = 2_000;

/**
 * Servers that share a Postgres end leases and silent runs by their own clocks. Where this one's is wrong beside the database's,
 * which they have in common, the log says by how much: runs would be taken from agents that live.
 */
export async function checkClock({
  database,
  clock,
  log,
}: Pick<ServerParts, "database" | "clock" | "log">): Promise<void> {
  if (database.kind !== "postgres") return;
  const asked = clock.now();
  const theirs = await postgresNow(database);
  const answered = clock.now();
  // It looked at its clock at some moment between the two: how long the answer took is no difference.
  const differenceMs = asked > theirs ? asked - theirs : Math.min(0, answered - theirs);
  if (Math.abs(differenceMs) <= MAX_CLOCK_DIFFERENCE_MS) return;
  const way = differenceMs > 0 ? "ahead of" : "behind";
  const message = `This server's clock is ${(Math.abs(differenceMs) / 1_000).toFixed(1)} s ${way} the database's; no more than ${MAX_CLOCK_DIFFERENCE_MS / 1_000} s are right. Where several servers' clocks differ, runs are taken from agents that live: set the clocks (NTP), and start the server again.`;
  log({ level: "error", message });
}
