import { type ScheduledFlowRow, scheduledFlows } from "../../db/queries/schedules.js";
import type { ServerParts } from "../parts.js";
import { lookAtFlow } from "./scheduler.js";
import type { Round } from "./service-runner.js";
import { turns } from "./turns.js";

/** Flows are read so many at a time, as Prefect's scheduler does. */
const PAGE = 500;
/** Each flow is looked at so often at least, whatever is known of it. */
const LOOK_AGAIN_MS = 5 * 60 * 1000;

/** A flow that has all its runs, until one of them is due. */
interface Seen {
  /** When the flow and its group were changed last. */
  version: string;
  untilMs: number;
}

/** The scheduler's rounds over all flows with an active schedule. */
export class ScheduleRounds {
  readonly #missedAfterMs: number;
  /** By flow id. It spares the work, and nothing depends on it. */
  #seen = new Map<string, Seen>();
  /** Flows that could not be looked at, and since when. */
  #owed = new Map<string, number>();

  constructor(missedAfterMs: number) {
    this.#missedAfterMs = missedAfterMs;
  }

  /**
   * Looks at each flow whose runs may not all be there. A flow that fails is no other flow's trouble; the next round sees
   * to what has passed for it meanwhile.
   */
  async round(parts: ServerParts, { nowMs, markMs, mayBeBehind }: Round): Promise<void> {
    // Up to there every start time was dealt with. Without a mark there was no round yet, and nothing was missed.
    const afterMs = Math.min(markMs ?? nowMs, nowMs);
    const wasAway = nowMs - afterMs > this.#missedAfterMs;
    if (mayBeBehind || wasAway) this.#seen.clear();
    const owed = new Map<string, number>();
    const seen = new Map<string, Seen>();
    const turn = turns();
    const failures: { flowId: string; error: unknown }[] = [];
    for (let afterId = ""; ; ) {
      const page: ScheduledFlowRow[] = await scheduledFlows(parts.database, afterId, PAGE);
      for (const flow of page) {
        await turn.over();
        try {
          seen.set(flow.id, await this.#look(parts, flow, { afterMs, nowMs, wasAway }));
        } catch (error) {
          owed.set(flow.id, this.#owed.get(flow.id) ?? afterMs);
          failures.push({ flowId: flow.id, error });
        }
      }
      const last = page.at(-1);
      if (!last || page.length < PAGE) break;
      afterId = last.id;
    }
    [this.#seen, this.#owed] = [seen, owed];
    if (failures[0]) logFailures(parts, failures[0], failures.length);
  }

  async #look(
    parts: ServerParts,
    { id, tenant_id: tenantId, updated, group_updated }: ScheduledFlowRow,
    { afterMs, nowMs, wasAway }: { afterMs: number; nowMs: number; wasAway: boolean },
  ): Promise<Seen> {
    const version = `${updated} ${group_updated}`;
    const seen = this.#seen.get(id);
    if (seen?.version === version && nowMs < seen.untilMs) return seen;
    const sinceMs = Math.min(this.#owed.get(id) ?? afterMs, afterMs);
    const look = { afterMs: sinceMs, nowMs, missedAfterMs: this.#missedAfterMs, wasAway };
    const nextMs = await lookAtFlow(parts, { tenantId, flowId: id }, look);
    return { version, untilMs: Math.min(nextMs ?? Number.POSITIVE_INFINITY, nowMs + LOOK_AGAIN_MS) };
  }
}

function logFailures(parts: ServerParts, { flowId, error }: { flowId: string; error: unknown }, count: number): void {
  const others = count > 1 ? `, and ${count - 1} others,` : "";
  const message = `Flow ${flowId}${others} could not be scheduled in this round; the next one tries again.`;
  parts.log({ level: "error", message, error });
}
