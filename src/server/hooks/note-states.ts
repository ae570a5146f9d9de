import { newId } from "../../core/ids.js";
import type { Transaction } from "../../db/database.js";
import { type DeliveryRow, insertDeliveries, versionGroupsOf } from "../../db/queries/cloud-hooks.js";
import type { FlowRunStateRow } from "../../db/queries/states.js";
import type { ActiveHook, HookIndex } from "./hook-index.js";

/** What of a ledger is needed to note what hooks are to be told. */
interface NewStates {
  readonly transaction: Transaction;
  readonly tenantId: string;
  readonly now: string;
  readonly flowRunStates: readonly FlowRunStateRow[];
}

/**
 * Notes which hooks are to be told of new flow run states, in the transaction that writes them: one is told if and only if
 * the state was committed.
 */
export function noteStates(index: HookIndex, states: NewStates): Promise<void> | undefined {
  const hooks = index.of(states.transaction, states.tenantId);
  if (hooks instanceof Promise) return hooks.then((read) => note(read, states));
  return hooks.length === 0 ? undefined : note(hooks, states);
}

async function note(hooks: readonly ActiveHook[], states: NewStates): Promise<void> {
  const { transaction, tenantId, now, flowRunStates } = states;
  const matches = flowRunStates.flatMap((state) => {
    const name = state.state.toUpperCase();
    return hooks.filter((hook) => hook.states.has(name)).map((hook) => ({ hook, state }));
  });
  if (matches.length === 0) return;
  const grouped = matches.filter(({ hook }) => hook.versionGroupId !== null);
  const runIds = [...new Set(grouped.map(({ state }) => state.flow_run_id))];
  const groups = runIds.length === 0 ? new Map<string, string>() : await versionGroupsOf(transaction, runIds);
  const rows = matches
    .filter(({ hook, state }) => [null, groups.get(state.flow_run_id)].includes(hook.versionGroupId))
    .map(
      ({ hook, state }): DeliveryRow => ({
        id: newId(),
        created: now,
        updated: now,
        tenant_id: tenantId,
        cloud_hook_id: hook.id,
        flow_run_id: state.flow_run_id,
        version: state.version,
        attempts: 0,
        sent: 0,
        next_attempt_at: now,
        delivered_at: null,
        last_error: null,
      }),
    );
  if (rows.length > 0) await insertDeliveries(transaction, rows);
}
