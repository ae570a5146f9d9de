import { MillraceError } from "../core/errors.js";
import { describePath, isPlainObject } from "./value-survey.js";

/** As for `codec/value`: deeper values are lists that were nested by mistake, and JSON.stringify ends in a stack overflow. */
const MAX_DEPTH = 1_000;

/**
 * The value's JSON text, when reading it gives the same value again. Two places that hold one object come back as two
 * equal objects, and an object without a prototype with one.
 * @throws VALUE_NOT_SERIALIZABLE, naming the path inside the value, for anything that JSON would lose or change
 */
export function toJsonText(value: unknown): string {
  survey(value, { path: [], open: new Set(), done: new Set() });
  try {
    return JSON.stringify(value);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new MillraceError("VALUE_NOT_SERIALIZABLE", `The value cannot be written as JSON: ${why}`, { cause });
  }
}

/** What {@link toJsonText} was given. @throws VALUE_CORRUPT for text that is not JSON */
export function fromJsonText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch (cause) {
    throw new MillraceError("VALUE_CORRUPT", `The text is not JSON: ${(cause as Error).message}.`, { cause });
  }
}

interface Survey {
  readonly path: (string | number)[];
  /** The objects around the one at hand. */
  readonly open: Set<object>;
  readonly done: Set<object>;
}

function survey(value: unknown, at: Survey): void {
  if (value === null || typeof value === "string" || typeof value === "boolean") return;
  if (typeof value !== "object") {
    const lost = describeLost(value);
    if (lost !== undefined) throw refuse(at, lost);
    return;
  }
  if (at.done.has(value)) return;
  if (at.open.has(value)) throw refuse(at, "holds itself");
  if (at.path.length > MAX_DEPTH) throw refuse(at, `is nested deeper than ${MAX_DEPTH} levels`);
  at.open.add(value);
  if (Array.isArray(value)) surveyArray(value, at);
  else if (isPlainObject(value)) surveyObject(value, at);
  else throw refuse(at, `is ${describeInstance(value)}`);
  at.open.delete(value);
  at.done.add(value);
}

function surveyArray(value: readonly unknown[], at: Survey): void {
  for (let index = 0; index < value.length; index += 1) {
    if (value[index] === undefined && !Object.hasOwn(value, index)) throw refuse(at, `has a hole at place ${index}`);
    surveyAt(value[index], index, at);
  }
  const keys = Object.keys(value);
  if (keys.length > value.length) throw refuse(at, `is an array with the further property "${keys.at(-1)}"`);
}

function surveyObject(value: object, at: Survey): void {
  for (const key of Object.keys(value)) surveyAt((value as Record<string, unknown>)[key], key, at);
  for (const key of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, key)) throw refuse(at, `has the symbol key ${String(key)}`);
  }
}

function surveyAt(item: unknown, key: string | number, at: Survey): void {
  at.path.push(key);
  survey(item, at);
  at.path.pop();
}

/** Undefined for what JSON has. */
function describeLost(value: unknown): string | undefined {
  if (typeof value === "number") {
    if (Object.is(value, -0)) return "is -0";
    return Number.isFinite(value) ? undefined : `is ${value}`;
  }
  if (typeof value === "bigint") return `is the BigInt ${value}`;
  if (typeof value === "function") return `is the function ${value.name || "(without a name)"}`;
  return `is ${String(value)}`;
}

function describeInstance(value: object): string {
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  return `an instance of ${typeof name === "string" && name !== "" ? name : "a class"}`;
}

function refuse({ path }: Survey, found: string): MillraceError {
  const where = describePath(path);
  const subject = where === "" ? "The value" : `\`${where}\` of the value`;
  return new MillraceError("VALUE_NOT_SERIALIZABLE", `${subject} ${found}, which JSON cannot carry.`, {
    hint: "Return what JSON has: text, finite numbers, true, false, null, lists and plain objects; or use the serializer `v8`.",
    details: { path: where },
  });
}
