import type { Transaction } from "../../db/database.js";
import {
  freeSlots,
  heldSlots,
  type LimitKind,
  type LimitRow,
  limitsOf,
  type SlotRow,
  takeSlots,
} from "../../db/queries/limits.js";

/** A limit's name among all limits of a tenant. */
export interface LimitName {
  readonly kind: LimitKind;
  /** The tag or the label. */
  readonly name: string;
}

/** On whose behalf slots are counted and taken: a ledger, or what is like one. */
export interface SlotOwner {
  readonly transaction: Transaction;
  readonly tenantId: string;
  readonly now: string;
}

const keyOf = ({ kind, name }: LimitName): string => `${kind} ${name}`;

/** A tenant's limits and how many of their slots are taken, as one transaction counts them. */
export class SlotBook {
  readonly #owner: SlotOwner;
  readonly #limits: Map<string, LimitRow>;
  readonly #held = new Map<string, number>();
  readonly #open = new Set<LimitKind>();

  constructor(owner: SlotOwner, limits: readonly LimitRow[]) {
    this.#owner = owner;
    this.#limits = new Map(limits.map((limit) => [keyOf(limit), limit]));
  }

  has(name: LimitName): boolean {
    return this.#limits.has(keyOf(name));
  }

  limitOf(name: LimitName): number | undefined {
    return this.#limits.get(keyOf(name))?.slots;
  }

  /** The limited tags, or labels. */
  names(kind: LimitKind): string[] {
    return [...this.#limits.values()].filter((limit) => limit.kind === kind).map((limit) => limit.name);
  }

  /**
   * Holds the limits of a kind until the transaction ends, reads them anew, and counts their slots. One name for all limits of a kind: a task
   * may need slots of several, and a grant looks at those of others.
   */
  async open(kind: LimitKind): Promise<void> {
    if (this.#open.has(kind)) return;
    this.#open.add(kind);
    const { transaction, tenantId } = this.#owner;
    await transaction.lock(`limits ${tenantId} ${kind}`);
    // Who had them before may have taken a limit away: a slot of one that is gone would be given up by nobody.
    for (const [key, limit] of this.#limits) if (limit.kind === kind) this.#limits.delete(key);
    for (const limit of await limitsOf(transaction, tenantId)) {
      if (limit.kind === kind) this.#limits.set(keyOf(limit), limit);
    }
    for (const [name, held] of await heldSlots(transaction, tenantId, kind))
      this.#held.set(keyOf({ kind, name }), held);
  }

  /** How many slots are free; without a limit, any number. Below 0 when the limit was lowered beneath what is taken. */
  free(name: LimitName): number {
    const limit = this.limitOf(name);
    return limit === undefined ? Number.POSITIVE_INFINITY : limit - (this.#held.get(keyOf(name)) ?? 0);
  }

  /** Takes slots for a run; whether they are free is for the caller to know. */
  async take(rows: readonly SlotRow[]): Promise<void> {
    const { transaction, tenantId, now } = this.#owner;
    for (const row of rows) this.#held.set(keyOf(row), (this.#held.get(keyOf(row)) ?? 0) + 1);
    await takeSlots(
      transaction,
      rows.map((row) => ({ ...row, tenant_id: tenantId, taken_at: now })),
    );
  }

  /** Gives slots up. */
  async giveUp(rows: readonly SlotRow[]): Promise<void> {
    if (rows.length === 0) return;
    for (const kind of ["flow_label", "task_tag"] as const)
      if (rows.some((row) => row.kind === kind)) await this.open(kind);
    await freeSlots(this.#owner.transaction, this.#owner.tenantId, rows);
    for (const row of rows) this.#held.set(keyOf(row), Math.max(0, (this.#held.get(keyOf(row)) ?? 0) - 1));
  }
}
