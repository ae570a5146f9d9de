import { MillraceError } from "../core/errors.js";
import { isStateType, type ResultRecord, type State } from "../core/state.js";

/** A state as the Cloud's protocol writes it (section 1.7 of the protocol notes): snake_case, no value inside. */
export type WireState = Record<string, unknown> & { type: string };

/** The version that states carry for clients that look at it; Prefect 1.4.1 ignores it. */
const STATE_VERSION = "1.4.1";

/** Queued may wrap Submitted, which wraps the state underneath; nothing real goes deeper. */
const MAX_WRAPPED = 4;

/** ISO 8601 as Python's isoformat() and JavaScript's toISOString() write it; the zone may be missing. */
const INSTANT = /^\d{4}-\d\d-\d\d(?:[T ]\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(Z|[+-]\d\d:?\d\d)?)?$/i;

export function toWireState(state: State): WireState {
  const wire: WireState = { type: state.type, message: state.message, __version__: STATE_VERSION };
  if (state.context !== undefined) wire.context = state.context;
  if (state.startAt !== undefined) wire.start_time = state.startAt;
  if (state.runCount !== undefined) wire.run_count = state.runCount;
  if (state.loopCount !== undefined) wire.loop_count = state.loopCount;
  if (state.mapCount !== undefined) wire.n_map_states = state.mapCount;
  // `"_result": null` breaks Prefect's client: it is left out when there is none.
  if (state.result !== undefined) wire._result = state.result;
  if (state.cacheExpiresAt !== undefined) wire.cached_result_expiration = state.cacheExpiresAt;
  if (state.inputHashes !== undefined) wire.hashed_inputs = state.inputHashes;
  if (state.cachedParameters !== undefined) wire.cached_parameters = state.cachedParameters;
  if (state.wrapped !== undefined) wire.state = toWireState(state.wrapped);
  return wire;
}

/**
 * @param at When the state was entered, where the JSON itself does not say; ISO 8601.
 * @throws INPUT_INVALID for anything that is not a state
 */
export function fromWireState(wire: unknown, at: string): State {
  return readState(wire, at, 0);
}

function readState(wire: unknown, at: string, depth: number): State {
  if (typeof wire !== "object" || wire === null || Array.isArray(wire)) throw invalid("a state is an object", wire);
  const { type, message, context, start_time, run_count, loop_count, n_map_states, _result, state } = wire as WireState;
  if (!isStateType(type)) throw invalid("`type` is the name of a state", type);
  const read: State = { type, message: optional(message, "string", "message") ?? null, at };
  if (context !== undefined && context !== null) read.context = asObject(context, "context");
  if (start_time !== undefined) read.startAt = start_time === null ? null : asInstant(start_time);
  const counts = { runCount: run_count, loopCount: loop_count, mapCount: n_map_states };
  for (const [name, value] of Object.entries(counts)) {
    const number = optional(value, "number", name);
    if (number !== undefined) read[name as keyof typeof counts] = number;
  }
  if (_result !== undefined && _result !== null) read.result = asResult(_result);
  if (type === "Cached") readCacheFacts(wire as WireState, read);
  if (state !== undefined && state !== null) {
    if (depth === MAX_WRAPPED) throw invalid(`states are wrapped ${MAX_WRAPPED} deep at most`, type);
    read.wrapped = readState(state, at, depth + 1);
  }
  return read;
}

function readCacheFacts({ cached_result_expiration, hashed_inputs, cached_parameters }: WireState, read: State): void {
  const expires = cached_result_expiration;
  if (expires !== undefined) read.cacheExpiresAt = expires === null ? null : asInstant(expires);
  if (hashed_inputs !== undefined && hashed_inputs !== null) {
    const hashes = asObject(hashed_inputs, "hashed_inputs");
    for (const each of Object.values(hashes)) {
      if (typeof each !== "string") throw invalid("`hashed_inputs` holds texts", each);
    }
    read.inputHashes = hashes as Record<string, string>;
  }
  if (cached_parameters !== undefined && cached_parameters !== null)
    read.cachedParameters = asObject(cached_parameters, "cached_parameters");
}

/** An instant as the database keeps it. One without a zone is UTC: Prefect's client sends those. @throws INPUT_INVALID */
export function asInstant(value: unknown): string {
  if (typeof value !== "string") throw invalid("an instant is ISO 8601 text", value);
  if (isOurs(value)) return value;
  const match = INSTANT.exec(value);
  if (!match) throw invalid("an instant is ISO 8601 text", value);
  const day = value.slice(0, 10);
  const clock = value.length === 10 ? "00:00:00Z" : `${value.slice(11)}${match[1] === undefined ? "Z" : ""}`;
  const time = Date.parse(`${day}T${clock.toUpperCase()}`);
  // Date.parse takes 30 February for 1 March.
  const isDay = new Date(`${day}T00:00:00Z`).toJSON()?.startsWith(day) ?? false;
  if (Number.isNaN(time) || !isDay) throw invalid("an instant is ISO 8601 text", value);
  return new Date(time).toISOString();
}

/** Is it written as this function writes it? Nearly all are, and then a look is enough: 1 µs in place of 3. */
function isOurs(value: string): boolean {
  if (value.length !== 24 || value[23] !== "Z") return false;
  const time = new Date(value);
  return !Number.isNaN(time.getTime()) && time.toISOString() === value;
}

function asResult(value: unknown): ResultRecord {
  const result = asObject(value, "_result");
  if (typeof result.type !== "string") throw invalid("`_result` has a `type`", result.type);
  return { location: null, ...result } as ResultRecord;
}

function asObject(value: unknown, name: string): Record<string, unknown> {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(`\`${name}\` is an object`, value);
}

function optional<T extends "string" | "number">(
  value: unknown,
  kind: T,
  name: string,
): (T extends "string" ? string : number) | undefined {
  if (value === undefined || value === null) return undefined;
  if (typeof value === kind) return value as T extends "string" ? string : number;
  throw invalid(`\`${name}\` is a ${kind}`, value);
}

function invalid(wanted: string, found: unknown): MillraceError {
  const text = JSON.stringify(found)?.slice(0, 80) ?? String(found);
  return new MillraceError("INPUT_INVALID", `A state cannot be read: ${wanted}, and was ${text}.`);
}
