import { types } from "node:util";
import { MillraceError } from "../core/errors.js";

/** A value nested deeper is refused: V8 writes more than it can read, which on Node 24's main thread is 1,646 objects in each other. */
const MAX_DEPTH = 1_000;
/** From this length on an array is walked by its keys. */
const MANY_ITEMS = 1_000_000;

interface Survey {
  hasErrors: boolean;
  seen: Set<object>;
  path: (string | number)[];
}

/**
 * Walks a value for what v8's format cannot carry or would lose without a word.
 * @throws VALUE_NOT_SERIALIZABLE naming the path
 */
export function surveyValue(value: unknown): { hasErrors: boolean } {
  const survey: Survey = { hasErrors: false, seen: new Set(), path: [] };
  look(value, survey);
  return survey;
}

function look(value: unknown, survey: Survey): void {
  if (typeof value === "function")
    throw refuse(
      survey,
      `is the function ${value.name || "(without a name)"}`,
      "Return data; call the function in the task.",
    );
  if (typeof value === "symbol") throw refuse(survey, `is ${String(value)}`, "Use a string.");
  if (typeof value !== "object" || value === null || survey.seen.has(value)) return;
  if (survey.path.length > MAX_DEPTH)
    throw refuse(survey, `is nested deeper than ${MAX_DEPTH} levels`, "Return a flat list.");
  survey.seen.add(value);
  if (Array.isArray(value) || isPlainObject(value)) lookInside(value, survey);
  else lookAtBuiltIn(value, survey);
}

function lookInside(value: object, survey: Survey): void {
  if (types.isProxy(value))
    throw refuse(survey, "is a Proxy", "Return a plain copy of it, for instance with structuredClone().");
  // By index costs no list of keys, but a sparse array may have a length of four thousand million.
  if (Array.isArray(value) && value.length <= MANY_ITEMS) {
    for (let index = 0; index < value.length; index += 1) lookAt(value[index], index, survey);
    return;
  }
  for (const key of Object.keys(value)) lookAt((value as Record<string, unknown>)[key], key, survey);
  for (const key of Object.getOwnPropertySymbols(value)) {
    if (Object.prototype.propertyIsEnumerable.call(value, key))
      throw refuse(survey, `has the symbol key ${String(key)}`, "Use string keys.");
  }
}

function lookAt(item: unknown, key: string | number, survey: Survey): void {
  // Most of what is looked at is neither; the push and pop cost more than the rest.
  if (typeof item !== "object" && typeof item !== "function" && typeof item !== "symbol") return;
  survey.path.push(key);
  look(item, survey);
  survey.path.pop();
}

function lookAtBuiltIn(value: object, survey: Survey): void {
  if (types.isProxy(value))
    throw refuse(survey, "is a Proxy", "Return a plain copy of it, for instance with structuredClone().");
  if (value instanceof Error) {
    survey.hasErrors = true;
    return;
  }
  if (types.isNativeError(value)) return;
  if (types.isDate(value) || types.isRegExp(value) || types.isBoxedPrimitive(value)) {
    if (!types.isSymbolObject(value)) return;
  }
  if (types.isSharedArrayBuffer(value)) throw refuse(survey, "is a SharedArrayBuffer", "Copy it into a Buffer.");
  if (types.isAnyArrayBuffer(value)) return;
  if (ArrayBuffer.isView(value)) {
    if (types.isSharedArrayBuffer(value.buffer))
      throw refuse(survey, "lies in a SharedArrayBuffer", "Copy it into a Buffer.");
    return;
  }
  if (types.isMap(value)) {
    let index = 0;
    for (const [key, item] of value) {
      lookAt(key, `(key ${index})`, survey);
      lookAt(item, typeof key === "string" ? key : `(value ${index})`, survey);
      index += 1;
    }
    return;
  }
  if (types.isSet(value)) {
    let index = 0;
    for (const item of value) lookAt(item, index++, survey);
    return;
  }
  if (types.isPromise(value)) throw refuse(survey, "is a promise", "Await it before returning.");
  const name = (value as { constructor?: { name?: unknown } }).constructor?.name;
  throw refuse(
    survey,
    `is an instance of ${typeof name === "string" && name !== "" ? name : "a class"}`,
    "Return plain data, for instance `{ ...object }`, or its text; classes do not survive the way to the next task.",
  );
}

/** Plain in this realm or in another (`node:vm`): the prototype is null or the last of its chain. */
export function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) return true;
  return (
    Object.getPrototypeOf(prototype) === null &&
    Object.hasOwn(prototype as object, "hasOwnProperty") &&
    Object.prototype.toString.call(value) === "[object Object]"
  );
}

function refuse({ path }: Survey, found: string, hint: string): MillraceError {
  const where = describePath(path);
  const subject = where === "" ? "The value" : `\`${where}\` of the value`;
  return new MillraceError("VALUE_NOT_SERIALIZABLE", `${subject} ${found}, and cannot leave the thread.`, {
    hint,
    details: { path: where },
  });
}

/** For people, for instance `rows[3].client`. */
export function describePath(path: readonly (string | number)[]): string {
  const shown = path.length > 20 ? [...path.slice(0, 10), "…", ...path.slice(-10)] : path;
  return shown.reduce<string>((text, key) => {
    if (typeof key === "number") return `${text}[${key}]`;
    if (!/^[\p{ID_Start}$_][\p{ID_Continue}$]*$/u.test(key))
      return key.startsWith("(") || key === "…" ? `${text}${key}` : `${text}[${JSON.stringify(key)}]`;
    return text === "" ? key : `${text}.${key}`;
  }, "");
}
