import { fromWireState, type WireState } from "../../codec/state-json.js";
import { type ErrorCode, isMillraceError } from "../../core/errors.js";
import { isScheduled, type State } from "../../core/state.js";

/** Why a state was not accepted. */
export interface Refused {
  code: ErrorCode;
  message: string;
}

/** A state that a run is asked to enter. */
export interface Move {
  /** The state as the wire's JSON; it is kept as it came. */
  state: unknown;
  /** When it was entered, ISO 8601. */
  at: string;
  /** The version that it follows, where the sender knows. */
  version?: number | null | undefined;
  /**
   * Is the very state that the run is in taken once more, and not written again? For clients that send a request again when
   * they got no answer.
   */
  mayRepeat?: boolean;
}

/** The longest state, in characters of JSON; the protocol's own limit. */
const MAX_STATE_LENGTH = 1_000_000;

export interface ReadMove {
  state: State;
  /** As it is kept: the JSON that came. */
  serialized: string;
}

/** The state of a move, read and checked, or why it cannot be. */
export function readMove(move: Move, now: string): ReadMove | Refused {
  try {
    const state = fromWireState(move.state, move.at);
    // Due at once unless it says otherwise; only a pause may have no end. The JSON stays as it came: its sender cannot
    // read everything that others would fill in.
    if (isScheduled(state) && state.type !== "Paused" && (state.startAt === undefined || state.startAt === null)) {
      state.startAt = now;
    }
    const serialized = JSON.stringify(move.state);
    if (serialized.length > MAX_STATE_LENGTH) {
      return {
        code: "STATE_REFUSED",
        message: `A state of ${serialized.length} characters is longer than ${MAX_STATE_LENGTH}.`,
      };
    }
    return { state, serialized };
  } catch (error) {
    if (!isMillraceError(error)) throw error;
    return { code: error.code, message: error.message };
  }
}

/** So begins a stored state with inputs, at the least. */
const INPUTS = '"cached_inputs":{"';

/**
 * Inputs that the state before kept for the next try are kept on, unless the new state has some of its own (protocol notes,
 * section 2.7): a client that pauses or retries sends them once.
 */
export function withInputsOf(before: string | null, read: ReadMove): ReadMove {
  if (before === null || !before.includes(INPUTS)) return read;
  const { cached_inputs: kept } = JSON.parse(before) as WireState;
  const wire = JSON.parse(read.serialized) as WireState;
  // What was found may have stood in a state that is wrapped.
  if (!hasEntries(kept) || hasEntries(wire.cached_inputs)) return read;
  const serialized = JSON.stringify({ ...wire, cached_inputs: kept });
  return serialized.length > MAX_STATE_LENGTH ? read : { ...read, serialized };
}

const hasEntries = (value: unknown): boolean =>
  typeof value === "object" && value !== null && Object.keys(value).length > 0;
