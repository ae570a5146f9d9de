import { decodeValue, encodeValue } from "../../codec/value.js";
import type { State } from "../../core/state.js";

/** Of one task or cache key: as many as a Cloud gives (section 3.8 of the protocol notes). */
const MOST_PER_KEY = 100;
/** A process that runs flows for weeks must not grow by its caches. The oldest that nobody used go first. */
const MOST_KEPT = 1_000;
const MOST_KEPT_BYTES = 128 * 1024 * 1024;

interface Kept {
  readonly key: string;
  readonly state: State;
  /** As bytes, so that no run can change what another one gets; a value that has no bytes stands as itself. */
  readonly value: { readonly bytes: Uint8Array } | { readonly itself: unknown } | undefined;
}

/** Cached states, with the values of those whose result is in memory only; bounded. */
export class KeptResults {
  /** By the place of their result, or a number of their own: in the order of their last use. */
  readonly #kept = new Map<string, Kept>();
  /** The names in `#kept` of each key, the newest last. */
  readonly #byKey = new Map<string, string[]>();
  readonly #mostBytes: number;
  #bytes = 0;
  #made = 0;

  constructor(mostBytes = MOST_KEPT_BYTES) {
    this.#mostBytes = mostBytes;
  }

  /** @param value Given when the result is in memory only; its place is then `state.result.location`. */
  add(key: string, state: State, value?: { readonly itself: unknown }): void {
    const kept: Kept = { key, state, value: value && toKept(value.itself) };
    if (sizeOf(kept) > this.#mostBytes) return;
    this.#made += 1;
    const name = value ? String(state.result?.location) : `state ${this.#made}`;
    this.#forget(name);
    this.#kept.set(name, kept);
    this.#bytes += sizeOf(kept);
    const names = this.#byKey.get(key) ?? [];
    names.push(name);
    this.#byKey.set(key, names);
    if (names.length > MOST_PER_KEY) this.#forget(names[0]!);
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= MOST_KEPT && this.#bytes <= this.#mostBytes) break;
      this.#forget(oldest);
    }
  }

  /** The newest first. */
  states(key: string, sinceAt: string): State[] {
    const states = (this.#byKey.get(key) ?? []).map((name) => this.#kept.get(name)!.state);
    return states.filter(({ at }) => at >= sinceAt).reverse();
  }

  /** Undefined when no value is kept there (any more). */
  read(location: string): { readonly value: unknown } | undefined {
    const kept = this.#kept.get(location);
    if (!kept?.value) return undefined;
    this.#kept.delete(location);
    this.#kept.set(location, kept);
    return { value: "bytes" in kept.value ? decodeValue(kept.value.bytes) : kept.value.itself };
  }

  clear(): void {
    this.#kept.clear();
    this.#byKey.clear();
    this.#bytes = 0;
  }

  #forget(name: string): void {
    const kept = this.#kept.get(name);
    if (!kept) return;
    this.#kept.delete(name);
    this.#bytes -= sizeOf(kept);
    const left = this.#byKey.get(kept.key)!.filter((each) => each !== name);
    if (left.length === 0) this.#byKey.delete(kept.key);
    else this.#byKey.set(kept.key, left);
  }
}

function toKept(value: unknown): Kept["value"] {
  try {
    return { bytes: encodeValue(value) };
  } catch {
    // A class instance, for instance: without a Cloud it goes from task to task as it is, and so to a later run.
    return { itself: value };
  }
}

const sizeOf = ({ value }: Kept): number => (value && "bytes" in value ? value.bytes.length : 0);
