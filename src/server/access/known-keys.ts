import type { ApiKeyRow } from "../../db/queries/api-keys.js";
import type { Caller } from "../parts.js";

/** How long a key that was found is believed to be there still; another server may have removed it. */
export const KEY_KEPT_MS = 5_000;
const MAX_KEPT = 1_000;

/** A key as it was found, and who asks with it. */
export interface KnownKey {
  readonly key: ApiKeyRow;
  readonly caller: Caller;
}

/** The keys that were used a moment ago, by the header as it came: a known one costs neither a hash nor a turn of the queue of promises. */
export class KnownKeys {
  readonly #byHeader = new Map<string, KnownKey & { until: number }>();
  /** Rises with each key that is taken back: what was read of the database before that is not kept. */
  #generation = 0;

  get generation(): number {
    return this.#generation;
  }

  find(header: string): KnownKey | undefined {
    const known = this.#byHeader.get(header);
    if (known === undefined || known.until > performance.now()) return known;
    this.#byHeader.delete(header);
    return undefined;
  }

  /** @param generation As it was before the key was looked for. */
  keep(header: string, found: KnownKey, generation: number): void {
    if (generation !== this.#generation) return;
    if (this.#byHeader.size >= MAX_KEPT) this.#byHeader.clear();
    this.#byHeader.set(header, { ...found, until: performance.now() + KEY_KEPT_MS });
  }

  /** The key is gone: it is looked for again when it is next used, and not found. */
  forget(keyId: string): void {
    this.#generation += 1;
    for (const [header, { key }] of this.#byHeader) if (key.id === keyId) this.#byHeader.delete(header);
  }

  /** The tenant is gone, with its keys; who asks for it is refused. */
  forgetTenant(tenantId: string): void {
    this.#generation += 1;
    for (const [header, { caller }] of this.#byHeader) if (caller.tenantId === tenantId) this.#byHeader.delete(header);
  }
}
