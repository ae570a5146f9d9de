import type { Clock } from "../ports.js";

/** How a call ended, as a value: nothing here throws. */
export type Settled =
  | { readonly kind: "returned"; readonly value: unknown }
  | { readonly kind: "threw"; readonly error: unknown }
  | { readonly kind: "timed out" };

const TIMED_OUT: Settled = { kind: "timed out" };

/** Calls `call` and waits for it. */
export async function settle(call: () => unknown): Promise<Settled> {
  try {
    return { kind: "returned", value: await call() };
  } catch (error) {
    return { kind: "threw", error };
  }
}

/**
 * As {@link settle}, but waits `timeoutMs` at the most. What the call does afterwards is nobody's business any more: its
 * late value is dropped and its late error is taken, so that it is no unhandled rejection.
 *
 * A function that never yields cannot be interrupted in its own thread; when it comes back too late it has timed out too.
 * @param over Fires when nobody waits for the call any more: then there is no timeout either, and no timer that holds the process.
 * @param onTimeUp Told at once when the time is up, with the call that goes on; it resolves, and never rejects.
 */
export async function settleInTime(
  call: () => unknown,
  timeoutMs: number,
  clock: Clock,
  over: AbortSignal,
  onTimeUp: (pending: Promise<unknown>) => void = () => {},
): Promise<Settled> {
  const startedAt = clock.now();
  const settled = settle(call);
  const leftMs = timeoutMs - (clock.now() - startedAt);
  if (leftMs <= 0) {
    onTimeUp(settled);
    return TIMED_OUT;
  }
  const timer = new AbortController();
  const callOff = () => timer.abort();
  over.addEventListener("abort", callOff, { once: true });
  const timeUp = clock.sleep(leftMs, timer.signal).then(
    () => TIMED_OUT,
    () => settled,
  );
  if (over.aborted) callOff();
  const first = await Promise.race([settled, timeUp]);
  over.removeEventListener("abort", callOff);
  timer.abort();
  if (first === TIMED_OUT) onTimeUp(settled);
  return first;
}
