import { randomFillSync } from "node:crypto";
import { v5, v7 } from "uuid";

/** Namespace of task ids: made once, never changed, or every deployed flow's ids would change with it. */
const TASK_NAMESPACE = "5a0f2d1c-8a7e-4c39-9b39-0f1d6b9c9f52";

/** Random bytes are fetched for so many ids at once: fetched for each, they were a third of what a no-op task costs. */
const POOLED_IDS = 512;
const RANDOM_BYTES = 16;
const pool = new Uint8Array(POOLED_IDS * RANDOM_BYTES);
let used = pool.length;

/** The instant and the place within it of the last id: ids of one millisecond count up, so that they sort as they were made. */
let msecs = 0;
let seq = 0;

/** A new row id: UUIDv7, so that rows made later sort later and an index grows at its end. */
export function newId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  const random = pool.subarray(used, used + RANDOM_BYTES);
  used += RANDOM_BYTES;
  const now = Date.now();
  if (now > msecs) {
    msecs = now;
    // 24 random bits of the 32 that there are: the rest is room to count.
    seq = (random[7]! << 16) | (random[8]! << 8) | random[9]!;
  } else {
    seq += 1;
  }
  return v7({ random, msecs, seq });
}

/** The id of a task in a flow: the same wherever and whenever the flow is built. */
export function taskId(flowName: string, slug: string): string {
  return v5(`${flowName}\n${slug}`, TASK_NAMESPACE);
}
