import type { Database } from "../database.js";
import { isDamage } from "../database-error.js";
import { MAX_NAMED, type Moment, runCheck, type Violation } from "./finding.js";
import { limitChecks } from "./limit-checks.js";
import { referenceChecks } from "./reference-checks.js";
import { leaseCheck, runChecks } from "./run-checks.js";
import { missingStartTimes, scheduleChecks } from "./schedule-checks.js";
import { stateChecks } from "./state-checks.js";
import { refusedFile, schemaViolation, storageViolations } from "./storage-checks.js";
import { unreadableJson, valueChecks } from "./value-checks.js";

export { MAX_NAMED, type Violation };

/**
 * Checks what must hold in every Cloud's database at any time, whatever happened to its servers. It reads one moment, changes
 * nothing, and may be used beside servers that run.
 * @param now Milliseconds since 1970, by the clock of the servers.
 * @returns the rows that break a rule, at most 20 for each rule and table, and notes; empty: all is well
 * @throws DATABASE_FAILED
 * @example const broken = (await verifyDatabase(server.database, Date.now())).filter((each) => !each.note);
 */
export async function verifyDatabase(database: Pick<Database, "kind" | "snapshot">, now: number): Promise<Violation[]> {
  try {
    return await lookAt(database, now);
  } catch (error) {
    // Some damage SQLite does not get past: it refuses to open the file, or the first query.
    if (!isDamage(error)) throw error;
    return [refusedFile(error as Error)];
  }
}

function lookAt(database: Pick<Database, "kind" | "snapshot">, now: number): Promise<Violation[]> {
  return database.snapshot(async (read) => {
    const moment: Moment = { kind: database.kind, read, now: new Date(now).toISOString() };
    const schema = await schemaViolation(moment);
    if (schema) return [schema];
    const found = await storageViolations(moment);
    // Of a damaged file no query's answer says anything.
    if (found.some(({ code }) => code === "FILE_DAMAGED")) return found;
    const checks = [
      ...stateChecks,
      leaseCheck(moment.now),
      ...runChecks,
      ...limitChecks,
      ...referenceChecks,
      ...scheduleChecks,
      ...valueChecks(moment.kind),
    ];
    for (const check of checks) found.push(...(await runCheck(moment, check)));
    if (moment.kind === "postgres") found.push(...(await unreadableJson(moment)));
    if (!found.some(({ code }) => code === "JSON_UNREADABLE")) found.push(...(await missingStartTimes(moment)));
    return found;
  });
}
