import type { Reads } from "../../db/database.js";
import { activeHooks } from "../../db/queries/cloud-hooks.js";

/** How long a tenant's hooks are believed to be the same: another server may have changed them. */
const KEPT_MS = 5_000;
const MAX_TENANTS = 10_000;

/** A hook as far as states must know it. */
export interface ActiveHook {
  readonly id: string;
  /** Null: of every flow. */
  readonly versionGroupId: string | null;
  /** In upper case. */
  readonly states: ReadonlySet<string>;
}

/** Which hooks a tenant has, without a query for each state: most tenants have none. */
export class HookIndex {
  readonly #tenants = new Map<string, { hooks: readonly ActiveHook[]; until: number }>();
  /** Rises with each change, so that what was read before one is not kept after it. */
  #changes = 0;

  /** At once, when they were read a moment ago. @param reads the transaction that writes the states */
  of(reads: Reads, tenantId: string): readonly ActiveHook[] | Promise<readonly ActiveHook[]> {
    const known = this.#tenants.get(tenantId);
    return known && known.until > performance.now() ? known.hooks : this.#read(reads, tenantId);
  }

  /** To be called when a change of the tenant's hooks was committed. */
  changed(tenantId: string): void {
    this.#changes += 1;
    this.#tenants.delete(tenantId);
  }

  async #read(reads: Reads, tenantId: string): Promise<readonly ActiveHook[]> {
    const before = this.#changes;
    const rows = await activeHooks(reads, tenantId);
    const hooks = rows.map(({ id, version_group_id, states }) => ({
      id,
      versionGroupId: version_group_id,
      states: new Set(JSON.parse(states) as string[]),
    }));
    if (before === this.#changes) {
      if (this.#tenants.size >= MAX_TENANTS) this.#tenants.clear();
      this.#tenants.set(tenantId, { hooks, until: performance.now() + KEPT_MS });
    }
    return hooks;
  }
}
