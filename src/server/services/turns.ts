import { setImmediate as nextTurn } from "node:timers/promises";

/** What a request may wait for a service, in milliseconds: SQLite answers at once, and a loop over it lets nobody else in. */
const TURN_MS = 10;

/** For loops over many rows: let others have a turn when this one's is over. */
export function turns(): { over(): Promise<void> } {
  let begunAt = performance.now();
  return {
    async over() {
      if (performance.now() - begunAt < TURN_MS) return;
      await nextTurn();
      begunAt = performance.now();
    },
  };
}
