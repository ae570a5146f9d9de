import type { WhyReason } from "../../client/wire.js";
import type { Reads } from "../../db/database.js";
import { type LimitKind, limitsOf, slotHolders } from "../../db/queries/limits.js";
import { namesOfHolders } from "../../db/queries/why.js";
import { command, listed, reason } from "./reason.js";

interface Holder {
  flow_run_id: string;
  flow_run: string;
  /** The task that has it; null for a flow run's own slot. */
  task: string | null;
  since: string;
}

/** Who has the slots of these tags or labels, in words and for programs; one reason for each that is full. */
export async function limitReasons(
  reads: Reads,
  tenantId: string,
  asked: { kind: LimitKind; names: readonly string[]; who: string },
): Promise<WhyReason[]> {
  const { kind, names, who } = asked;
  const limits = (await limitsOf(reads, tenantId)).filter((limit) => limit.kind === kind && names.includes(limit.name));
  const reasons: WhyReason[] = [];
  for (const { name, slots } of limits) {
    const holders = await holdersOf(reads, tenantId, kind, name);
    if (holders.length < slots) continue;
    const what = kind === "task_tag" ? "tag" : "label";
    const code = kind === "task_tag" ? "TASK_TAG_LIMIT" : "FLOW_LABEL_LIMIT";
    const [verb, noun] = [kind === "task_tag" ? "task-tag" : "flow-label", slots === 1 ? "slot" : "slots"];
    const message =
      slots === 0
        ? `${who} for a slot of ${what} "${name}", whose limit of 0 pauses all that have it`
        : `${who} for a slot of ${what} "${name}": its ${slots} ${noun} ${slots === 1 ? "is" : "are"} taken by ${inWords(holders)}`;
    reasons.push(
      reason(code, `${message}.`, {
        // One more than are taken, so that the first in the line may go.
        fix: command("limit", verb, name, String(Math.max(slots, holders.length) + 1)),
        details: { name, limit: slots, holders },
      }),
    );
  }
  return reasons;
}

function inWords(holders: readonly Holder[]): string {
  return listed(holders.map(({ flow_run, task }) => (task === null ? flow_run : `${task} of ${flow_run}`)));
}

async function holdersOf(reads: Reads, tenantId: string, kind: LimitKind, name: string): Promise<Holder[]> {
  const slots = await slotHolders(reads, tenantId, kind, [name]);
  const names = await namesOfHolders(
    reads,
    slots.map((slot) => slot.run_id),
    [...new Set(slots.map((slot) => slot.flow_run_id))],
  );
  return slots.map(({ run_id, flow_run_id, taken_at }) => {
    const task = names.find((each) => each.run_id === run_id)?.task_name ?? null;
    const flowRun = names.find((each) => each.flow_run_id === flow_run_id)?.flow_run_name ?? flow_run_id;
    return { flow_run_id, flow_run: flowRun, task, since: taken_at };
  });
}
