import { MillraceError } from "../../core/errors.js";
import { isStateType, isType, type StateType } from "../../core/state.js";
import type { FlowRunRow } from "../../db/queries/flow-runs.js";
import { groupSettingsOf } from "../../db/queries/services.js";
import type { TaskRunRow } from "../../db/queries/task-runs.js";
import type { Ledger } from "./ledger.js";

/** A state that somebody sent with the version that they know the run by. */
export interface VersionedState {
  state: unknown;
  version?: number | null;
}

/**
 * Where a flow group's versions are locked, only one of those who knew a run at a version may set it Running. Other states
 * are let through: Prefect's agent sends its last Failed with a version that is behind its own Submitted (protocol notes,
 * section 0, 20). A request that came twice is refused too: nothing tells it from a second process.
 * @throws VERSION_LOCKING_ERROR
 */
export async function checkVersion(
  ledger: Ledger,
  flowRun: FlowRunRow,
  run: FlowRunRow | TaskRunRow,
  { state, version }: VersionedState,
): Promise<void> {
  if (version === undefined || version === null || version === run.version) return;
  const type = typeof state === "object" && state !== null ? (state as { type?: unknown }).type : undefined;
  if (!isStateType(type) || !isType(type as StateType, "Running")) return;
  const settings = JSON.parse(await groupSettingsOf(ledger.transaction, flowRun.flow_id)) as Record<string, unknown>;
  if (settings.version_locking_enabled !== true) return;
  const what = run === flowRun ? "flow run" : "task run";
  throw new MillraceError(
    "VERSION_LOCKING_ERROR",
    `State update failed for ${what} ID ${run.id}: the state follows version ${version}, and the run has version ${run.version}.`,
    { hint: "Another process has the run, or had it meanwhile: read its state, and go on from there." },
  );
}
