/**
 * States as plain tagged records. The names and their family tree are those of the Cloud's protocol; `codec/state-json`
 * turns a state into the wire's JSON and back.
 */
const parents = {
  Pending: null,
  Scheduled: "Pending",
  Paused: "Scheduled",
  Resume: "Scheduled",
  Retrying: "Scheduled",
  Submitted: null,
  Queued: null,
  ClientFailed: null,
  Running: null,
  Cancelling: "Running",
  Finished: null,
  Looped: "Finished",
  Success: "Finished",
  Cached: "Success",
  Mapped: "Success",
  Skipped: "Success",
  Cancelled: "Finished",
  Failed: "Finished",
  TimedOut: "Failed",
  TriggerFailed: "Failed",
  ValidationFailed: "Failed",
} as const satisfies Record<string, string | null>;

export type StateType = keyof typeof parents;

/** Where a task's result is: never the value itself, except as the short JSON text of a `PrefectResult`. */
export interface ResultRecord {
  type:
    | "PrefectResult"
    | "LocalResult"
    | "S3Result"
    | "GCSResult"
    | "AzureResult"
    | "ConstantResult"
    | "SecretResult"
    | "CustomResult"
    | "Result";
  location: string | null;
  /** Further fields of the kind, for instance `dir` or `bucket`. */
  [field: string]: unknown;
}

export interface State {
  type: StateType;
  message: string | null;
  /** When the state was entered, ISO 8601 in UTC. */
  at: string;
  /** Scheduled family: when it is due; null in `Paused` means until someone resumes it. */
  startAt?: string | null;
  /** Retrying: how often the task has run. */
  runCount?: number;
  loopCount?: number;
  /** Mapped: the number of children. */
  mapCount?: number;
  result?: ResultRecord;
  /** Cached: until when it stands, ISO 8601; null: for ever. */
  cacheExpiresAt?: string | null;
  /** Cached: a hash for each argument, by its place. */
  inputHashes?: Record<string, string>;
  /** Cached: the parameters of the run that made the result; plain JSON. */
  cachedParameters?: Record<string, unknown>;
  /** Submitted, Queued, ClientFailed: the state underneath. */
  wrapped?: State;
  /** Plain JSON for people and clients, for instance `{ tags, error: { code, hint } }`. */
  context?: Record<string, unknown>;
}

/** Is `type` this type or one of its descendants? */
export function isType(type: StateType, family: StateType): boolean {
  for (let at: StateType | null = type; at !== null; at = parents[at]) if (at === family) return true;
  return false;
}

export const stateTypes = Object.keys(parents) as StateType[];
export const isStateType = (value: unknown): value is StateType =>
  typeof value === "string" && Object.hasOwn(parents, value);

type Typed = { type: StateType };
export const isPending = (state: Typed): boolean => isType(state.type, "Pending");
export const isScheduled = (state: Typed): boolean => isType(state.type, "Scheduled") || state.type === "Queued";
export const isRunning = (state: Typed): boolean => isType(state.type, "Running");
export const isFinished = (state: Typed): boolean => isType(state.type, "Finished");
export const isSuccessful = (state: Typed): boolean => isType(state.type, "Success");
export const isFailed = (state: Typed): boolean => isType(state.type, "Failed");
export const isSkipped = (state: Typed): boolean => state.type === "Skipped";
export const isMapped = (state: Typed): boolean => state.type === "Mapped";
export const isCached = (state: Typed): boolean => state.type === "Cached";
export const isCancelled = (state: Typed): boolean => state.type === "Cancelled";
export const isTimedOut = (state: Typed): boolean => state.type === "TimedOut";
export const isTriggerFailed = (state: Typed): boolean => state.type === "TriggerFailed";
export const isLooped = (state: Typed): boolean => state.type === "Looped";
export const isRetrying = (state: Typed): boolean => state.type === "Retrying";
export const isPaused = (state: Typed): boolean => state.type === "Paused";
export const isResumed = (state: Typed): boolean => state.type === "Resume";
export const isSubmitted = (state: Typed): boolean => state.type === "Submitted";
export const isQueued = (state: Typed): boolean => state.type === "Queued";
/** A state around another one; see {@link unwrapState}. */
export const isMeta = (state: Typed): boolean =>
  state.type === "Submitted" || state.type === "Queued" || state.type === "ClientFailed";
/** Finished for good: no later state may follow. `Looped` is finished only until its next round. */
export const isTerminal = (state: Typed): boolean => isFinished(state) && state.type !== "Looped";

/** The state underneath Submitted, Queued and ClientFailed, however deep. */
export function unwrapState(state: State): State;
export function unwrapState(state: State | null): State | null;
export function unwrapState(state: State | null): State | null {
  let at = state;
  while (at?.wrapped) at = at.wrapped;
  return at;
}

/** The colour that people know each state by, as Prefect 1.x shows it (section 1.7 of the protocol notes). */
export const stateColors: Readonly<Record<StateType, string>> = {
  Pending: "#7ebdff",
  Scheduled: "#ffab00",
  Paused: "#99a8e8",
  Resume: "#f58c0c",
  Retrying: "#f66a0a",
  Submitted: "#ffdf5d",
  Queued: "#ffea7f",
  ClientFailed: "#eb0000",
  Running: "#3d67ff",
  Cancelling: "#e8e8e8",
  Finished: "#003ccb",
  Looped: "#003ccb",
  Success: "#28a745",
  Cached: "#34d058",
  Mapped: "#003ccb",
  Skipped: "#62757f",
  Cancelled: "#bdbdbd",
  Failed: "#eb0000",
  TimedOut: "#ff4e33",
  TriggerFailed: "#ff5131",
  ValidationFailed: "#ff5131",
};

/** A new state; `at` defaults to now. */
export function makeState(
  type: StateType,
  message: string | null,
  more: Partial<Omit<State, "type" | "message">> = {},
): State {
  return { ...more, type, message, at: more.at ?? new Date().toISOString() };
}
