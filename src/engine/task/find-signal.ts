import { isSignal, type Signal } from "../../core/signal.js";

/** No chain of causes is followed further: as deep as failures are kept. */
const MAX_DEPTH = 8;

/**
 * The signal in what a task threw: the thing itself, or one inside an error's `cause`, or among the errors of an
 * AggregateError. So it gets through a `catch` that wraps what it caught, and through `Promise.any`.
 */
export function findSignal(thrown: unknown, depth = 0): Signal | undefined {
  if (isSignal(thrown)) return thrown;
  if (typeof thrown !== "object" || thrown === null || depth === MAX_DEPTH) return undefined;
  try {
    const { cause, errors } = thrown as { cause?: unknown; errors?: unknown };
    const inside = cause === undefined ? undefined : findSignal(cause, depth + 1);
    if (inside || !Array.isArray(errors)) return inside;
    for (const each of errors) {
      const found = findSignal(each, depth + 1);
      if (found) return found;
    }
  } catch {
    // A getter of the thrown thing threw: it is an error like any other.
  }
  return undefined;
}
