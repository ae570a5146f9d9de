/** Choices that can be made again: the same seed gives the same ones. */
export interface Random {
  readonly seed: number;
  /** From 0 up to `below`, a whole number. */
  below(below: number): number;
  pick<T>(list: readonly T[]): T;
}

const asked = Number(process.env.MILLRACE_FAULT_SEED);

/** A new seed, or the one in MILLRACE_FAULT_SEED; the test prints it. */
export function seeded(t: { comment(text: string): void }): Random {
  const seed = asked > 0 ? asked : 1 + Math.floor(Math.random() * 0x7fff_ffff);
  t.comment(`MILLRACE_FAULT_SEED=${seed}`);
  let state = seed;
  // mulberry32, by Tommy Ettinger, in the public domain.
  const next = () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
  const below = (limit: number) => Math.floor(next() * limit);
  return { seed, below, pick: (list) => list[below(list.length)]! };
}
