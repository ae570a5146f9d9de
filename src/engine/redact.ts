import type { LogLine } from "../core/context.js";
import type { State } from "../core/state.js";

/** Shorter texts are left alone: each of them would stand in every other word. */
export const MIN_REDACTED_CHARS = 4;
/** A line of a secret of several lines, such as a key in PEM, that is shorter says nothing by itself. */
const MIN_REDACTED_LINE_CHARS = 8;

const STARS = "***";

/** Takes the values of secrets out of what a run tells the outside. Until it knows one, it costs nothing. */
export class Redactor {
  readonly #texts = new Set<string>();
  #pattern: RegExp | undefined;

  /** Every text inside `value` is a secret from now on, in the spellings that a log or an address gives it. */
  learn(value: unknown): void {
    const before = this.#texts.size;
    for (const text of textsOf(value, new Set())) this.#add(text);
    if (this.#texts.size === before) return;
    // The longest first: one secret may stand inside another.
    const sorted = [...this.#texts].sort((a, b) => b.length - a.length);
    this.#pattern = new RegExp(sorted.map(escaped).join("|"), "g");
  }

  #add(text: string): void {
    if (text.length < MIN_REDACTED_CHARS) return;
    for (const spelling of [text, JSON.stringify(text).slice(1, -1), encoded(text)]) this.#texts.add(spelling);
    if (!text.includes("\n")) return;
    for (const line of text.split(/\r?\n/)) if (line.length >= MIN_REDACTED_LINE_CHARS) this.#texts.add(line);
  }

  text(text: string): string {
    return this.#pattern === undefined ? text : text.replace(this.#pattern, STARS);
  }

  /** The same record where there is nothing to take out. */
  log(line: LogLine): LogLine {
    const message = this.text(line.message);
    return message === line.message ? line : { ...line, message };
  }

  /** Of a state its message and its context; where its result lies must stay as it is. */
  state(state: State): State {
    if (this.#pattern === undefined) return state;
    const message = state.message === null ? null : this.text(state.message);
    const context = this.#inside(state.context, new Map()) as State["context"];
    const wrapped = state.wrapped && this.state(state.wrapped);
    if (message === state.message && context === state.context && wrapped === state.wrapped) return state;
    return { ...state, message, ...(context ? { context } : {}), ...(wrapped ? { wrapped } : {}) };
  }

  /** Plain lists and records with their texts redacted; the very value where that changes nothing. */
  #inside(value: unknown, seen: Map<object, unknown>): unknown {
    if (typeof value === "string") return this.text(value);
    if (typeof value !== "object" || value === null) return value;
    const known = seen.get(value);
    if (known !== undefined) return known;
    seen.set(value, value);
    const isList = Array.isArray(value);
    if (!isList && !isRecord(value)) return value;
    let changed = false;
    const entries = Object.entries(value).map(([key, item]) => {
      const [newKey, newItem] = [isList ? key : this.text(key), this.#inside(item, seen)];
      changed ||= newKey !== key || newItem !== item;
      return [newKey, newItem] as const;
    });
    if (!changed) return value;
    return isList ? entries.map(([, item]) => item) : Object.fromEntries(entries);
  }
}

/** Every text inside a value. Numbers count: a secret of digits alone is one. */
function* textsOf(value: unknown, seen: Set<object>): Generator<string> {
  if (typeof value === "string") yield value;
  else if (typeof value === "number" || typeof value === "bigint") yield String(value);
  if (typeof value !== "object" || value === null || seen.has(value)) return;
  seen.add(value);
  for (const item of value instanceof Map ? value.values() : Object.values(value)) yield* textsOf(item, seen);
}

function isRecord(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** As it stands in an address. A lone surrogate has no such spelling. */
function encoded(text: string): string {
  return text.isWellFormed() ? encodeURIComponent(text) : text;
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/-]/g, "\\$&");
}
