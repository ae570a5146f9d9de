import type { DeliveryRow } from "../../db/queries/cloud-hooks.js";

/** Each is a connection and some kilobytes. */
const MAX_UNDER_WAY = 256;
/** A tenant whose receivers all hang leaves places to the others. */
const MAX_UNDER_WAY_A_TENANT = 64;
/** A receiver that hangs holds no more places than that. */
const MAX_UNDER_WAY_A_HOOK = 4;

/** How many deliveries are under way, for each hook, each tenant and in all. */
export class Places {
  readonly #taken = new Set<string>();
  readonly #byOwner = new Map<string, number>();

  constructor(underWay: readonly DeliveryRow[]) {
    for (const row of underWay) this.#count(row);
  }

  /** @returns whether there was a place */
  take(row: DeliveryRow): boolean {
    if (this.#taken.has(row.id) || this.#taken.size >= MAX_UNDER_WAY) return false;
    if (this.#of(row.cloud_hook_id) >= MAX_UNDER_WAY_A_HOOK) return false;
    if (this.#of(row.tenant_id) >= MAX_UNDER_WAY_A_TENANT) return false;
    this.#count(row);
    return true;
  }

  /** The hooks, and tenants, that have no place left. */
  full(): { withoutHooks: string[]; withoutTenants: string[] } {
    const owners = [...this.#byOwner];
    return {
      withoutHooks: owners.flatMap(([id, count]) => (count >= MAX_UNDER_WAY_A_HOOK ? [id] : [])),
      withoutTenants: owners.flatMap(([id, count]) => (count >= MAX_UNDER_WAY_A_TENANT ? [id] : [])),
    };
  }

  #count({ id, cloud_hook_id, tenant_id }: DeliveryRow): void {
    this.#taken.add(id);
    for (const owner of [cloud_hook_id, tenant_id]) this.#byOwner.set(owner, this.#of(owner) + 1);
  }

  #of(owner: string): number {
    return this.#byOwner.get(owner) ?? 0;
  }
}
