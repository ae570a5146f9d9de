import { type FailureRecord, toFailure } from "../codec/failure.js";
import type { MillraceError } from "../core/errors.js";
import { makeState, type State } from "../core/state.js";

/** No text of an error is kept longer in a state: states are read by the page, and the log has the whole of it. */
const MAX_ERROR_TEXT = 8_000;

/** One line for a thrown value, for instance `TypeError: x is not a function`. */
export function describeFailure(thrown: unknown): string {
  const { name, message } = toFailure(thrown);
  return clip(`${name}: ${message}`);
}

/** The part of a state's context that says which error it was. */
export function errorContext(thrown: unknown): { error: Record<string, unknown> } {
  return { error: smallRecord(toFailure(thrown)) };
}

/** The code of a task threw. */
export function failedInCode(thrown: unknown, at: string): State {
  return failed(`Error during execution of task: ${describeFailure(thrown)}`, thrown, at);
}

/** The values of upstream tasks could not be read. */
export function failedToRetrieve(thrown: unknown, at: string): State {
  return failed(`Failed to retrieve task results: ${clip(toFailure(thrown).message)}`, thrown, at);
}

/** What the task returned could not be written. */
export function failedToStore(thrown: unknown, at: string): State {
  return failed(clip(toFailure(thrown).message), thrown, at);
}

export function timedOut(error: MillraceError, at: string): State {
  return makeState("TimedOut", "Task timed out during execution.", { at, context: errorContext(error) });
}

/** A Failed state with the error in its context. */
export function failed(message: string, thrown: unknown, at: string): State {
  return makeState("Failed", message, { at, context: errorContext(thrown) });
}

function smallRecord({ name, message, code, hint, stack }: FailureRecord): Record<string, unknown> {
  return {
    name,
    message: clip(message),
    code,
    ...(hint === null ? {} : { hint }),
    stack: stack === null ? null : clip(stack),
  };
}

function clip(text: string): string {
  return text.length <= MAX_ERROR_TEXT ? text : `${text.slice(0, MAX_ERROR_TEXT)}…`;
}
