import { isStateType } from "../core/state.js";
import {
  MAX_MESSAGE_CHARS,
  MAX_NAME_CHARS,
  MAX_REPORT_CHARS,
  MAX_REPORT_LOGS,
  MAX_REPORT_STATES,
  MAX_STATE_CHARS,
  MAX_STATE_DEPTH,
  MAX_STATE_VALUES,
} from "./limits.js";
import type { HostQuestion } from "./messages.js";

/*
 * What comes out of a run's port is looked at here before anything else touches it: a message of another shape would throw
 * inside comlink, outside any try, and comlink would follow any path of property names, `report.constructor` too. The
 * functions answer what is wrong, or null.
 */

/** Which of the host's methods a message calls, or what is wrong with it. */
export type CheckedCall = { method: "report" | "ask" | "stopped" } | { problem: string };

/** comlink's ids are four hexadecimal numbers. */
const MAX_CALL_ID_CHARS = 80;

export function checkCall(message: unknown): CheckedCall {
  if (!isPlain(message)) return { problem: "a message that is not an object" };
  const { id, type, path, argumentList } = message;
  if (typeof id !== "string" || id === "" || id.length > MAX_CALL_ID_CHARS) return { problem: "a call without an id" };
  if (type !== "APPLY") return { problem: "a message that is not a call" };
  if (!Array.isArray(path) || path.length !== 1) return { problem: "a call of something that is not the host's" };
  if (!Array.isArray(argumentList) || argumentList.length > 1)
    return { problem: "a call with a wrong number of arguments" };
  if (path[0] === "stopped" && argumentList.length === 0) return { method: "stopped" };
  if ((path[0] !== "report" && path[0] !== "ask") || argumentList.length !== 1)
    return { problem: "a call of something that is not the host's" };
  const argument: unknown = argumentList[0];
  if (!isPlain(argument) || argument.type !== "RAW") return { problem: "an argument that is not plain data" };
  if (path[0] === "ask") {
    const problem = checkQuestion(argument.value);
    return problem === null ? { method: "ask" } : { problem };
  }
  const problem = checkReport(argument.value);
  return problem === null ? { method: "report" } : { problem };
}

/** For each question, what its fields must be. */
const questions: Record<HostQuestion["about"], Record<string, (value: unknown) => boolean>> = {
  caches: { taskSlug: isName, cacheKey: isNameOrNull, sinceAt: isName },
  secret: { name: isName },
  slots: {},
  "create flow run": {
    flowName: isName,
    project: isNameOrNull,
    parameters: (value) => isPlain(value) && checkJson(value, { chars: 0, values: 0 }, 0) === null,
    runName: isNameOrNull,
    labels: (value) => value === null || (Array.isArray(value) && value.length <= MAX_LABELS && value.every(isName)),
    idempotencyKey: isName,
  },
  "flow run's end": { flowRunId: isName, waitMs: (value) => isCount(value, 0) },
  "cancel flow run": { flowRunId: isName },
};

const MAX_LABELS = 100;

function checkQuestion(question: unknown): string | null {
  if (!isPlain(question)) return "a question that is not an object";
  const { about, ...fields } = question;
  if (typeof about !== "string" || !Object.hasOwn(questions, about)) return "a question of no known kind";
  const wanted = Object.entries(questions[about as HostQuestion["about"]]);
  const fits = wanted.length === Object.keys(fields).length && wanted.every(([name, holds]) => holds(fields[name]));
  return fits ? null : `a question about ${about} of another shape`;
}

function isNameOrNull(value: unknown): boolean {
  return value === null || isName(value);
}

function checkReport(report: unknown): string | null {
  if (!isPlain(report)) return "a report that is not an object";
  const { states, logs } = report;
  if (!Array.isArray(states) || states.length > MAX_REPORT_STATES)
    return "a report without a list of states, or with too many";
  if (!Array.isArray(logs) || logs.length > MAX_REPORT_LOGS)
    return "a report without a list of log lines, or with too many";
  const size: Size = { chars: 0, values: 0 };
  for (const entry of states) {
    const problem = checkEntry(entry, size);
    if (problem !== null) return problem;
    if (size.chars > MAX_REPORT_CHARS) return "a report that is too large";
  }
  for (const line of logs) {
    if (!isLogLine(line)) return "a log line of another shape";
    size.chars += line.message.length;
  }
  return size.chars > MAX_REPORT_CHARS ? "a report that is too large" : null;
}

interface Size {
  chars: number;
  values: number;
}

function checkEntry(entry: unknown, size: Size): string | null {
  if (!isPlain(entry) || !isName(entry.at)) return "a state without its time";
  if (entry.taskRun !== undefined && !isTaskRun(entry.taskRun)) return "a state of a task run without its ids";
  const { state } = entry;
  if (!isPlain(state) || !isStateType(state.type)) return "a state of no known type";
  if (typeof state.message === "string" && state.message.length > MAX_MESSAGE_CHARS)
    return "a state whose message is too long";
  const of: Size = { chars: 0, values: 0 };
  const problem = checkJson(state, of, 0);
  size.chars += of.chars;
  return problem;
}

function isTaskRun(value: unknown): boolean {
  if (!isPlain(value)) return false;
  const { taskRunId, taskSlug, mapIndex, version, name } = value;
  if (name !== undefined && !isName(name)) return false;
  return isName(taskRunId) && isName(taskSlug) && isCount(mapIndex, -1) && isCount(version, 0);
}

const LEVELS: ReadonlySet<unknown> = new Set(["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"]);

function isLogLine(line: unknown): line is { message: string } {
  if (!isPlain(line)) return false;
  const { at, level, name, message, taskRunId } = line;
  if (!isName(at) || !LEVELS.has(level) || typeof name !== "string" || name.length > MAX_NAME_CHARS) return false;
  return (
    typeof message === "string" && message.length <= MAX_MESSAGE_CHARS && (taskRunId === null || isName(taskRunId))
  );
}

/** What the main thread would refuse of a state that is plain JSON, for senders that rather leave something out; null: nothing. */
export function checkStateSize(state: object): string | null {
  return checkJson(state, { chars: 0, values: 0 }, 0);
}

/** Only what JSON has words for: a BigInt, a circle or a Date would fail on its way to the Cloud, with other runs' states. */
function checkJson(value: unknown, size: Size, depth: number): string | null {
  size.values += 1;
  if (size.values > MAX_STATE_VALUES || size.chars > MAX_STATE_CHARS) return "a state that is too large";
  if (typeof value === "string") {
    size.chars += value.length;
    return size.chars > MAX_STATE_CHARS ? "a state that is too large" : null;
  }
  if (
    value === null ||
    value === undefined ||
    typeof value === "boolean" ||
    (typeof value === "number" && Number.isFinite(value))
  )
    return null;
  if (depth >= MAX_STATE_DEPTH) return "a state that is nested too deeply";
  if (Array.isArray(value)) {
    if (value.length > MAX_STATE_VALUES) return "a state that is too large";
    for (let at = 0; at < value.length; at++) {
      const problem = checkJson(value[at], size, depth + 1);
      if (problem !== null) return problem;
    }
    return null;
  }
  if (!isPlain(value)) return "a state that is not plain JSON";
  for (const key in value) {
    size.chars += key.length;
    const problem = checkJson(value[key], size, depth + 1);
    if (problem !== null) return problem;
  }
  return null;
}

/** Structured clone makes plain objects of plain objects, and keeps Maps, Dates, Errors and buffers apart. */
function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function isName(value: unknown): value is string {
  return typeof value === "string" && value !== "" && value.length <= MAX_NAME_CHARS;
}

function isCount(value: unknown, least: number): boolean {
  return Number.isSafeInteger(value) && (value as number) >= least;
}
