import { fromFailure } from "../codec/failure.js";
import { toWireState, type WireState } from "../codec/state-json.js";
import type { LogLine } from "../core/context.js";
import { MillraceError } from "../core/errors.js";
import type { State } from "../core/state.js";
import type { Reporter, TaskRunChange } from "../engine/ports.js";
import { checkStateSize } from "../threads/check-call.js";
import {
  MAX_MESSAGE_CHARS,
  MAX_NAME_CHARS,
  MAX_REPORT_CHARS,
  MAX_REPORT_LOGS,
  MAX_REPORT_STATES,
  MAX_STATE_CHARS,
} from "../threads/limits.js";
import type { ReportEntry, RunHost, RunReport } from "../threads/messages.js";

/** Log lines that wait while the Cloud is away; further ones are counted and dropped. At 200 characters a line, about 4 MB. */
export const MAX_WAITING_LOGS = 20_000;
/** Their text, all in all, in characters. */
export const MAX_WAITING_LOG_CHARS = 4_000_000;

// Taken before flow code can replace it.
const { nextTick } = process;

interface WaitingState {
  entry: ReportEntry;
  chars: number;
  resolve(answer?: "queued"): void;
  reject(error: unknown): void;
}

/**
 * The engine's reporter under an agent: a stream to the run's host, in order, one report at a time. What is reported within
 * a tick, or while a report is under way, goes together in the next one: so a task's Success travels with the next one's
 * Running. States are never dropped; how many can wait is bounded by the engine, which awaits each Running. After a refusal
 * the stream is broken: everything that waits and all that comes later rejects with the reason.
 */
export class StateStream implements Reporter {
  readonly #host: RunHost;
  readonly #onBroken: (error: Error) => void;
  #states: WaitingState[] = [];
  #logs: LogLine[] = [];
  #logChars = 0;
  #dropped = 0;
  #scheduled = false;
  #underWay = false;
  #broken: Error | undefined;
  #idle: (() => void)[] = [];

  /** @param onBroken Told once, when a report was refused. */
  constructor(host: RunHost, onBroken: (error: Error) => void = () => {}) {
    this.#host = host;
    this.#onBroken = onBroken;
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: as in `Reporter`.
  taskRun({ taskRunId, taskSlug, mapIndex, version, state, name }: TaskRunChange): Promise<void | "queued"> {
    const taskRun = { taskRunId, taskSlug, mapIndex, version };
    return this.#add(state, name === undefined ? taskRun : { ...taskRun, name: name.slice(0, MAX_NAME_CHARS) });
  }

  async flowRun({ state }: { state: State }): Promise<void> {
    await this.#add(state);
  }

  log(line: LogLine): void {
    if (this.#broken) return;
    const message = clip(line.message);
    if (this.#logs.length >= MAX_WAITING_LOGS || this.#logChars + message.length > MAX_WAITING_LOG_CHARS) {
      this.#dropped += 1;
      return;
    }
    this.#logChars += message.length;
    this.#logs.push({ ...line, name: line.name.slice(0, MAX_NAME_CHARS), message });
    this.#schedule();
  }

  /** Resolves when everything was accepted, log lines as well, or the stream is broken. */
  flushed(): Promise<void> {
    if (this.#broken || (!this.#anyWaits() && !this.#underWay)) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  get broken(): Error | undefined {
    return this.#broken;
  }

  // biome-ignore lint/suspicious/noConfusingVoidType: as in `Reporter`.
  #add(state: State, taskRun?: ReportEntry["taskRun"]): Promise<void | "queued"> {
    if (this.#broken) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      const sized = toSizedState(state);
      if (!sized) return reject(tooLarge(state));
      const entry: ReportEntry =
        taskRun === undefined ? { state: sized.wire, at: state.at } : { taskRun, state: sized.wire, at: state.at };
      this.#states.push({ entry, chars: sized.chars, resolve, reject });
      this.#schedule();
    });
  }

  /** A tick's end comes after all promise callbacks of the turn: those are what a task's end and the next one's start hang on. */
  #schedule(): void {
    if (this.#scheduled || this.#underWay) return;
    this.#scheduled = true;
    nextTick(() => {
      this.#scheduled = false;
      void this.#pump();
    });
  }

  async #pump(): Promise<void> {
    if (this.#underWay) return;
    this.#underWay = true;
    while (this.#anyWaits() && !this.#broken) {
      const { report, states } = this.#next();
      const reply = await this.#host.report(report);
      if (reply !== null && !("queued" in reply)) {
        this.#break(fromFailure(reply), states);
        break;
      }
      accept(states, new Set(reply?.queued));
      // What hangs on those may now report: let it travel in the next one.
      if (states.length > 0) await new Promise<void>((resolve) => nextTick(resolve));
    }
    this.#underWay = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  #anyWaits(): boolean {
    return this.#states.length > 0 || this.#logs.length > 0 || this.#dropped > 0;
  }

  #next(): { report: RunReport; states: WaitingState[] } {
    let room = MAX_REPORT_CHARS;
    let count = 0;
    for (const { chars } of this.#states) {
      if (count >= MAX_REPORT_STATES || (chars > room && count > 0)) break;
      room -= chars;
      count += 1;
    }
    const states = this.#states.splice(0, count);
    const logs = this.#nextLogs(room);
    return { report: { states: states.map(({ entry }) => entry), logs }, states };
  }

  #nextLogs(room: number): LogLine[] {
    let chars = 0;
    let count = 0;
    for (const { message } of this.#logs) {
      if (count >= MAX_REPORT_LOGS - 1 || chars + message.length > room - MAX_DROPPED_NOTE_CHARS) break;
      chars += message.length;
      count += 1;
    }
    const logs = this.#logs.splice(0, count);
    this.#logChars -= chars;
    if (this.#dropped > 0 && this.#logs.length === 0 && room - chars > MAX_DROPPED_NOTE_CHARS) {
      logs.push(droppedNote(this.#dropped));
      this.#dropped = 0;
    }
    return logs;
  }

  #break(error: Error, states: readonly WaitingState[]): void {
    this.#broken = error;
    const waiting = [...states, ...this.#states.splice(0)];
    this.#logs = [];
    this.#dropped = 0;
    for (const { reject } of waiting) reject(error);
    this.#onBroken(error);
  }
}

/** Of a task run that is Queued, the Running that is answered so is the last state in its report. */
function accept(states: readonly WaitingState[], queued: ReadonlySet<string>): void {
  for (const { entry, resolve } of states) {
    const isQueued = queued.size > 0 && entry.taskRun !== undefined && queued.has(entry.taskRun.taskRunId);
    if (isQueued && entry.state.type === "Running") resolve("queued");
    else resolve();
  }
}

/** Room that is kept in a report for the line about dropped ones. */
const MAX_DROPPED_NOTE_CHARS = 200;

function droppedNote(count: number): LogLine {
  const message = `${count} log lines were dropped here: they came faster than the Cloud could take them.`;
  return { at: new Date().toISOString(), level: "WARNING", name: "millrace.agent", message, taskRunId: null };
}

/**
 * The state as the wire's JSON, and how long that is. A context may hold anything that flow code put into an error: what
 * JSON has no words for, or is too large, is left out. Undefined when the state is too large without it.
 */
function toSizedState(state: State): { wire: WireState; chars: number } | undefined {
  const wire = toWireState(state.message === null ? state : { ...state, message: clip(state.message) });
  const chars = textOf(wire)?.length;
  if (chars !== undefined && chars <= MAX_STATE_CHARS) {
    if (wire.context === undefined) return { wire, chars };
    const plain = JSON.parse(textOf(wire)!) as WireState;
    // One that is nested too deeply, or of too many values, would be taken for an attack.
    if (checkStateSize(plain) === null) return { wire: plain, chars };
  }
  const { context: _, ...bare } = wire;
  const bareChars = textOf(bare)?.length;
  return bareChars === undefined || bareChars > MAX_STATE_CHARS
    ? undefined
    : { wire: bare as WireState, chars: bareChars };
}

function textOf(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

function clip(text: string): string {
  if (text.length <= MAX_MESSAGE_CHARS) return text;
  const note = ` … (${text.length} characters, cut here)`;
  return text.slice(0, MAX_MESSAGE_CHARS - note.length) + note;
}

function tooLarge(state: State): MillraceError {
  return new MillraceError(
    "STATE_REFUSED",
    `A state ${state.type} is larger than ${MAX_STATE_CHARS} characters as JSON and was not sent.`,
    {
      hint: "Return large values from tasks, which are stored as results, in place of putting them into parameters.",
    },
  );
}
