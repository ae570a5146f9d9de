import { MillraceError } from "../../core/errors.js";
import {
  deleteAutoRuns,
  type HeldFlow,
  holdScheduledFlows,
  writeScheduleActive,
} from "../../db/queries/flow-groups.js";
import type { FlowGroupRow } from "../../db/queries/flows.js";
import { checkGaps, checkSchedule } from "../../schedule/check-schedule.js";
import { fromSerializedSchedule } from "../../schedule/serialized-schedule.js";
import type { ServerParts } from "../parts.js";
import { scheduleFlow } from "../services/scheduler.js";
import type { Ledger } from "../states/ledger.js";
import type { SerializedParameter } from "./serialized-flow.js";

type Serialized = Readonly<Record<string, unknown>>;

/**
 * Can runs be made by a schedule as it was sent? One without clocks, which Prefect's client may send, makes none.
 * @throws SCHEDULE_INVALID
 */
export function checkSerializedSchedule(flowName: string, schedule: Serialized | null): void {
  if (schedule === null || (Array.isArray(schedule.clocks) && schedule.clocks.length === 0)) return;
  const read = fromSerializedSchedule(schedule);
  checkSchedule(read);
  checkGaps(flowName, read);
}

/** What a schedule would make runs of. */
interface Scheduled {
  parameters: readonly SerializedParameter[];
  groupDefaults: Serialized;
  schedule: Serialized;
}

/** The required parameters that not every run of the schedule would have a value for. */
export function uncoveredParameters({ parameters, groupDefaults, schedule }: Scheduled): string[] {
  const clocks = clocksOf(schedule).map((clock) => (clock as { parameter_defaults?: unknown }).parameter_defaults);
  const isGiven = (name: string) =>
    Object.hasOwn(groupDefaults, name) || (clocks.length > 0 && clocks.every((defaults) => has(defaults, name)));
  return parameters.filter(({ name, required }) => required && !isGiven(name)).map(({ name }) => name);
}

const has = (defaults: unknown, name: string): boolean =>
  typeof defaults === "object" && defaults !== null && Object.hasOwn(defaults, name);

function clocksOf({ clocks }: Serialized): unknown[] {
  return Array.isArray(clocks) ? clocks : [];
}

/** The schedule that counts for a flow: its group's, or else its own; null: none. */
export function scheduleOf(flow: Pick<HeldFlow, "schedule">, group: Pick<FlowGroupRow, "schedule">): Serialized | null {
  const text = group.schedule ?? flow.schedule;
  return text === null ? null : (JSON.parse(text) as Serialized);
}

type GroupOfSchedule = Pick<FlowGroupRow, "schedule" | "default_parameters">;

/** @throws PARAMETER_MISSING in the words of Prefect's server */
export function checkCovered(flow: HeldFlow, group: GroupOfSchedule): void {
  const schedule = scheduleOf(flow, group);
  if (schedule === null) return;
  const parameters = JSON.parse(flow.parameters) as SerializedParameter[];
  const groupDefaults = JSON.parse(group.default_parameters) as Serialized;
  const names = uncoveredParameters({ parameters, groupDefaults, schedule });
  if (names.length > 0) throw requiredParameters(names);
}

export function requiredParameters(names: readonly string[]): MillraceError {
  return new MillraceError("PARAMETER_MISSING", "Can not schedule a flow that has required parameters.", {
    hint: `Give each clock, or the flow group, a default for: ${names.join(", ")}.`,
    details: names,
  });
}

/**
 * After a change of a group: its flows' runs that a schedule has made, and that have not begun, are made anew.
 * @param what `schedule`: none of them counts any more. `runs`: those of the future are to be as the group says now.
 * @returns the flows that `scheduleNow` is to be called for when the transaction has committed
 * @throws PARAMETER_MISSING
 */
export async function remakeRuns(
  ledger: Ledger,
  group: GroupOfSchedule & { id: string },
  what: "schedule" | "runs",
): Promise<string[]> {
  const flows = await holdScheduledFlows(ledger.transaction, group.id);
  for (const flow of flows) checkCovered(flow, group);
  const ids = flows.map((flow) => flow.id);
  if (ids.length === 0) return [];
  await deleteAutoRuns(ledger.transaction, ids, what === "schedule" ? "" : ledger.now);
  if (what === "schedule") await writeScheduleActive(ledger.transaction, ids, true, ledger.now);
  return ids;
}

/**
 * Makes the upcoming runs of these flows, which were changed at `changedMs`. What goes wrong is logged and no more: the change that asked for it is done, and
 * the scheduler comes by again.
 */
export async function scheduleNow(
  parts: ServerParts,
  { tenantId, changedMs }: { tenantId: string; changedMs: number },
  flowIds: readonly string[],
): Promise<void> {
  for (const flowId of flowIds) {
    try {
      await scheduleFlow(parts, { tenantId, flowId, changedMs });
    } catch (error) {
      parts.log({ level: "error", message: `The runs of flow ${flowId} could not be made at once.`, error });
    }
  }
}
