import type { LogInput } from "../client/wire.js";
import type { NewLogRow } from "../db/queries/logs.js";
import type { Ledger } from "./states/ledger.js";

const LEVELS: ReadonlySet<string> = new Set(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]);

/** A log row; what a line leaves out gets the protocol's defaults: now, and INFO. */
export function logLine(ledger: Pick<Ledger, "now" | "tenantId">, flowRunId: string, line: LogInput): NewLogRow {
  return {
    tenant_id: ledger.tenantId,
    flow_run_id: flowRunId,
    task_run_id: line.task_run_id ?? null,
    timestamp: line.timestamp ?? ledger.now,
    name: line.name ?? null,
    level: line.level ?? "INFO",
    message: line.message ?? null,
    info: line.info === undefined || line.info === null ? null : JSON.stringify(line.info),
  };
}

/** Is the line's level one of the five? A line without one is INFO. */
export function hasKnownLevel(line: LogInput): boolean {
  return line.level === undefined || line.level === null || LEVELS.has(line.level);
}
