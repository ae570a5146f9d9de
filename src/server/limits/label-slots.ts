import type { Reads, Transaction } from "../../db/database.js";
import { heldSlots, limitsOf, slotsOfRuns } from "../../db/queries/limits.js";

/** Free slots of flow labels, as one look into the queue counts them. */
export interface LabelSlots {
  /** How many more runs with these labels may be under way. */
  room(labels: readonly string[]): number;
  /** Counts one in. */
  take(labels: readonly string[]): void;
  /** The labels that have no free slot now. */
  full(labels: readonly string[]): string[];
}

/**
 * Null when no label of the tenant is limited. In a transaction the slots stay as they are until it ends, so that what was
 * seen to be free can be taken.
 */
export async function readLabelSlots(reads: Reads | Transaction, tenantId: string): Promise<LabelSlots | null> {
  const limits = (await limitsOf(reads, tenantId)).filter(({ kind }) => kind === "flow_label");
  if (limits.length === 0) return null;
  if ("lock" in reads) await reads.lock(`limits ${tenantId} flow_label`);
  const held = await heldSlots(reads, tenantId, "flow_label");
  const free = new Map(limits.map(({ name, slots }) => [name, slots - (held.get(name) ?? 0)]));
  const freeOf = (label: string) => free.get(label) ?? Number.POSITIVE_INFINITY;
  return {
    room: (labels) => Math.max(0, Math.min(Number.POSITIVE_INFINITY, ...labels.map(freeOf))),
    take(labels) {
      for (const label of labels) if (free.has(label)) free.set(label, freeOf(label) - 1);
    },
    full: (labels) => labels.filter((label) => freeOf(label) <= 0),
  };
}

/** Of these flow runs, those that own slots: under way already, they need no others. */
export async function withSlots(reads: Reads, flowRunIds: readonly string[]): Promise<Set<string>> {
  return new Set((await slotsOfRuns(reads, flowRunIds, flowRunIds)).map(({ run_id }) => run_id));
}
