import { isIPv6 } from "node:net";

/** So many requests with a bad token are answered as such to one address before it is told to wait. */
const BURST = 30;
/** One more is answered after each of these. A person who tries tokens, or an agent with a stale one, asks less often. */
const REFILL_MS = 1_000;
/** Addresses that are remembered. */
const MAX_ADDRESSES = 10_000;

/**
 * Counts requests with bad tokens by address, in memory. A good token is never looked at here, whatever else comes from its
 * address: many clients may sit behind one.
 */
export class FailedLogins {
  /** What is left to each address, and when that was so. */
  readonly #left = new Map<string, { tokens: number; at: number }>();
  readonly #now: () => number;

  /** @param now Milliseconds that only grow. */
  constructor(now: () => number = () => performance.now()) {
    this.#now = now;
  }

  /** Notes one, and answers for how many seconds the address is to wait; 0: it may be told that the token is bad. */
  note(address: string | undefined): number {
    const key = keyOf(address ?? "unknown");
    const now = this.#now();
    const before = this.#left.get(key) ?? { tokens: BURST, at: now };
    const tokens = Math.min(BURST, before.tokens + (now - before.at) / REFILL_MS);
    // The last one to be seen stands last.
    this.#left.delete(key);
    if (this.#left.size >= MAX_ADDRESSES) this.#left.delete(this.#left.keys().next().value!);
    this.#left.set(key, { tokens: Math.max(0, tokens - 1), at: now });
    return tokens >= 1 ? 0 : Math.ceil(((1 - tokens) * REFILL_MS) / 1_000);
  }
}

/** Whoever has one IPv6 address mostly has a whole network of them: its first 64 bits count. */
function keyOf(address: string): string {
  if (!isIPv6(address) || address.startsWith("::ffff:")) return address;
  const [head = "", tail] = address.split("::");
  const groups = head.split(":");
  const known = tail === undefined ? groups : [...groups, ...Array<string>(8).fill("0")];
  return known.slice(0, 4).join(":");
}
