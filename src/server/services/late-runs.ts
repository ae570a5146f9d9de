import { insertLogs } from "../../db/queries/logs.js";
import { lateRuns, noteLate } from "../../db/queries/services.js";
import { logLine } from "../log-line.js";
import { type ServerParts, toInstant } from "../parts.js";
import type { Round } from "./service-runner.js";
import { turns } from "./turns.js";

/** Longer than any agent waits between two polls; Prefect 2 calls a run late after as long. */
export const DEFAULT_LATE_AFTER_MS = 15_000;
/** One transaction notes no more. */
const PAGE = 500;

/**
 * Notes runs that were due and that no agent took: once for each, in its log and its `late_at`. It changes nothing about
 * the run; `millrace why` says what it waits for.
 */
export async function noteLateRuns({ database }: ServerParts, { nowMs }: Round, lateAfterMs: number): Promise<void> {
  const now = toInstant(nowMs);
  const turn = turns();
  for (let noted = PAGE; noted === PAGE; ) {
    await turn.over();
    noted = await database.write(async (transaction) => {
      const rows = await lateRuns(transaction, toInstant(nowMs - lateAfterMs), PAGE);
      await noteLate(
        transaction,
        rows.map((row) => row.id),
        now,
      );
      const lines = rows.map((row) => {
        const waitedSeconds = Math.round((nowMs - Date.parse(row.due_at)) / 1_000);
        const message = `Late: due at ${row.due_at}, and not picked up for ${waitedSeconds} s. \`millrace why ${row.id}\` says why.`;
        const line = { name: "millrace.late", level: "WARNING", message };
        return logLine({ now, tenantId: row.tenant_id }, row.id, line);
      });
      await insertLogs(transaction, lines);
      return rows.length;
    });
  }
}
