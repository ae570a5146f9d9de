import type { CreateFlowRunInput } from "../../client/wire.js";
import { newId } from "../../core/ids.js";
import { normalizeLabels } from "../../core/labels.js";
import type { NewFlowRunRow } from "../../db/queries/flow-runs.js";
import { type FlowToRun, tasksOf } from "../../db/queries/flows.js";
import { NO_STATE } from "../../db/queries/state-columns.js";
import { runName } from "../run-name.js";
import { moveFlowRun, moveTaskRun, orThrow } from "./apply-state.js";
import { addFlowRun, addTaskRun, type Ledger } from "./ledger.js";

/** What is asked of a new run beside its flow and its parameters. */
export type AskedRun = Omit<CreateFlowRunInput, "flow_id" | "version_group_id" | "parameters"> & {
  /** Did a schedule ask? Default false. */
  auto_scheduled?: boolean;
};

/** Adds a run of a flow, Scheduled, with a Pending task run for each of its tasks (protocol notes, sections 2.3 and 2.6). */
export async function addNewFlowRun(
  ledger: Ledger,
  flow: FlowToRun,
  asked: AskedRun,
  parameters: Readonly<Record<string, unknown>>,
): Promise<NewFlowRunRow> {
  const run = newFlowRun(ledger, flow, asked, parameters);
  addFlowRun(ledger, run);
  const at = ledger.now;
  const state = { type: "Scheduled", message: "Flow run scheduled.", start_time: run.scheduled_start_time };
  orThrow(await moveFlowRun(ledger, run, { state, at }));
  const pending = { state: { type: "Pending", message: "Task run created" }, at };
  for (const task of await tasksOf(ledger.transaction, flow.id)) {
    const taskRun = addTaskRun(ledger, {
      id: newId(),
      flowRunId: run.id,
      taskId: task.id,
      mapIndex: -1,
      cacheKey: task.cache_key,
    });
    orThrow(moveTaskRun(ledger, run, taskRun, pending));
  }
  return run;
}

function newFlowRun(
  ledger: Ledger,
  flow: FlowToRun,
  asked: AskedRun,
  parameters: Readonly<Record<string, unknown>>,
): NewFlowRunRow {
  const runConfig = asked.run_config ?? parse(flow.group_run_config) ?? parse(flow.run_config);
  return {
    id: newId(),
    created: ledger.now,
    updated: ledger.now,
    tenant_id: ledger.tenantId,
    flow_id: flow.id,
    engine: flow.engine,
    name: asked.flow_run_name || runName(),
    parameters: JSON.stringify(parameters),
    labels: JSON.stringify(resolveLabels(flow, asked)),
    run_config: runConfig === null ? null : JSON.stringify(runConfig),
    context: JSON.stringify(asked.context ?? {}),
    scheduled_start_time: asked.scheduled_start_time ?? ledger.now,
    auto_scheduled: asked.auto_scheduled ? 1 : 0,
    times_resurrected: 0,
    idempotency_key: asked.idempotency_key || null,
    agent_id: null,
    lease_agent_id: null,
    lease_expires_at: null,
    fence: 0,
    ...NO_STATE,
  };
}

/** The first that says anything decides; an empty list says "none". */
function resolveLabels(flow: FlowToRun, asked: AskedRun): string[] {
  const found =
    asked.labels ??
    labelsOf(asked.run_config) ??
    (parse(flow.group_labels) as string[] | null) ??
    labelsOf(parse(flow.group_run_config)) ??
    labelsOf(parse(flow.run_config)) ??
    labelsOf(parse(flow.environment)) ??
    [];
  return normalizeLabels(found);
}

function labelsOf(value: unknown): string[] | null {
  if (typeof value !== "object" || value === null) return null;
  const { labels } = value as { labels?: unknown };
  return Array.isArray(labels) ? labels.map(String) : null;
}

function parse(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}
