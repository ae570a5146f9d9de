import { hash as digest } from "node:crypto";
import { types } from "node:util";
import { MillraceError } from "../core/errors.js";
import { toFailure } from "./failure.js";
import { surveyValue } from "./value-survey.js";

/*
 * A value's hash, the same for equal values in every process, locale, Node and V8. It is made from a canonical text and not
 * from node:v8's bytes, which follow the order of an object's keys and change with V8.
 *
 * An object's text is its kind and its parts; a part that is an object stands as its own text, or as `#` and the text's
 * digest where that is longer. Keys are sorted by their UTF-16 units, the entries of maps and sets by their texts, so that
 * the order in which they were put in does not count. Two places that hold one object are told as two equal objects, as
 * JSON does. A value that holds itself has no finite text: its objects are told apart by refinement, see `hashCircular`.
 *
 * A change of any rule here makes every cached result look stale: then raise the version.
 */
const VERSION = "1";

/** A text up to this length stands for itself: hashing it would cost more than copying it. */
const MAX_PLAIN_TEXT = 256;

const MAX_KEYS = 1_000;

/** A primitive's text, or an object to be told. */
type Part = string | { readonly object: object };

/** An object taken apart by one level. */
interface Shape {
  readonly kind: string;
  /** For maps and sets the groups are sorted by their texts. */
  readonly ordered: boolean;
  readonly groups: readonly (readonly Part[])[];
}

/**
 * SHA-256 in hexadecimal digits. Told apart: -0 and 0, undefined and a missing key, a hole and undefined. Not told apart:
 * an object with and without a prototype, a Buffer and a Uint8Array, Errors that differ in nothing but their stack.
 * @throws VALUE_NOT_SERIALIZABLE, naming the path inside the value, for functions, symbols, instances of classes and whatever
 * else `codec/value` refuses
 */
export function hashValue(value: unknown): string {
  surveyValue(value);
  if (typeof value !== "object" || value === null) return sha256(`${VERSION}:${textOfPrimitive(value)}`);
  const text = textOf(value, { texts: new Map(), open: [], keys: new Map() });
  return sha256(`${VERSION}:${text ?? `circular:${hashCircular(value)}`}`);
}

interface Walk {
  /** Of the objects whose text was shortened: the others cost less to tell again than to look up. */
  readonly texts: Map<object, string>;
  /** The objects around the one at hand; seldom more than a few, and a Set that is filled and emptied leaves much garbage. */
  readonly open: object[];
  /** Rows of a table have the same keys. */
  readonly keys: Map<string, string>;
}

/** Undefined when the object holds itself somewhere. */
function textOf(object: object, walk: Walk): string | undefined {
  const known = walk.texts.get(object);
  if (known !== undefined) return known;
  if (walk.open.includes(object)) return undefined;
  walk.open.push(object);
  const text = textOfWhole(object, walk);
  walk.open.pop();
  if (text === undefined || text.length <= MAX_PLAIN_TEXT) return text;
  const short = `#${sha256(text)}`;
  walk.texts.set(object, short);
  return short;
}

/** Plain objects and lists, which most values are made of, are told without taking them apart: what comes out is the same. */
function textOfWhole(object: object, walk: Walk): string | undefined {
  if (Object.getPrototypeOf(object) === Object.prototype) return textOfFields(object as Record<string, unknown>, walk);
  return Array.isArray(object) && isDense(object) ? textOfItems(object, walk) : textOfShape(object, walk);
}

function textOfFields(object: Readonly<Record<string, unknown>>, walk: Walk): string | undefined {
  let text = "object(";
  for (const key of sorted(Object.keys(object))) {
    const value = textOfPart(object[key], walk);
    if (value === undefined) return undefined;
    let keyText = walk.keys.get(key);
    if (keyText === undefined) {
      keyText = JSON.stringify(key);
      // An object of a million keys has each of them once.
      if (walk.keys.size < MAX_KEYS) walk.keys.set(key, keyText);
    }
    text += `${keyText},${value},`;
  }
  return `${text})`;
}

function textOfItems(items: readonly unknown[], walk: Walk): string | undefined {
  let text = "array(";
  for (const item of items) {
    const told = textOfPart(item, walk);
    if (told === undefined) return undefined;
    text += `${told},`;
  }
  return `${text})`;
}

function textOfPart(value: unknown, walk: Walk): string | undefined {
  return typeof value === "object" && value !== null ? textOf(value, walk) : textOfPrimitive(value);
}

function textOfShape(object: object, walk: Walk): string | undefined {
  const shape = shapeOf(object);
  const groups: string[] = [];
  for (const group of shape.groups) {
    let groupText = "";
    for (const part of group) {
      const text = typeof part === "string" ? part : textOf(part.object, walk);
      if (text === undefined) return undefined;
      groupText += `${text},`;
    }
    groups.push(groupText);
  }
  return join(shape, groups);
}

function join({ kind, ordered }: Shape, groups: string[]): string {
  return `${kind}(${(ordered ? groups : groups.sort(byUnits)).join("")})`;
}

/**
 * Of a value that holds itself: each object begins with its kind as its colour, and takes, round after round, the hash of
 * its parts' colours; when a round tells no further objects apart, the root's colour is the hash. It is the same for all
 * values that look the same however far one walks into them.
 */
function hashCircular(root: object): string {
  const shapes = new Map<object, Shape>();
  const collect = (object: object): void => {
    if (shapes.has(object)) return;
    const shape = shapeOf(object);
    shapes.set(object, shape);
    for (const group of shape.groups) for (const part of group) if (typeof part !== "string") collect(part.object);
  };
  collect(root);
  let colours = new Map<object, string>();
  for (const [object, { kind }] of shapes) colours.set(object, kind);
  let told = 0;
  for (;;) {
    const next = new Map<object, string>();
    for (const [object, shape] of shapes) {
      const texts = shape.groups.map((group) =>
        group.map((part) => `${typeof part === "string" ? part : `#${colours.get(part.object)}`},`).join(""),
      );
      next.set(object, sha256(join(shape, texts)));
    }
    colours = next;
    const now = new Set(colours.values()).size;
    if (now === told) return colours.get(root)!;
    told = now;
  }
}

function shapeOf(object: object): Shape {
  if (Array.isArray(object)) return shapeOfArray(object);
  return shapeOfBuiltIn(object) ?? { kind: "object", ordered: true, groups: fieldsOf(object, Object.keys(object)) };
}

function fieldsOf(object: object, keys: string[]): Part[][] {
  return sorted(keys).map((key) => [JSON.stringify(key), toPart((object as Record<string, unknown>)[key])]);
}

function shapeOfArray(array: readonly unknown[]): Shape {
  if (isDense(array)) return { kind: "array", ordered: true, groups: [array.map(toPart)] };
  return { kind: `sparse array ${array.length}`, ordered: true, groups: fieldsOf(array, Object.keys(array)) };
}

/** No holes, and nothing put on it beside its items. A hole has no key; numbers come first among the keys, in order. */
function isDense(array: readonly unknown[]): boolean {
  const keys = Object.keys(array);
  return keys.length === array.length && (keys.length === 0 || keys.at(-1) === String(array.length - 1));
}

function shapeOfBuiltIn(object: object): Shape | undefined {
  const whole = (kind: string, ...parts: Part[]): Shape => ({ kind, ordered: true, groups: [parts] });
  if (types.isMap(object)) {
    const groups = [...object].map(([key, value]) => [toPart(key), toPart(value)]);
    return { kind: "map", ordered: false, groups };
  }
  if (types.isSet(object)) return { kind: "set", ordered: false, groups: [...object].map((item) => [toPart(item)]) };
  if (types.isDate(object)) return whole("date", String(object.getTime()));
  if (types.isRegExp(object)) return whole("regexp", JSON.stringify(object.source), object.flags);
  if (types.isBoxedPrimitive(object)) return whole("boxed", toPart(object.valueOf()));
  if (ArrayBuffer.isView(object)) return whole("bytes", kindOfView(object), hashOfBytes(object));
  if (types.isAnyArrayBuffer(object)) return whole("bytes", "ArrayBuffer", hashOfBytes(new Uint8Array(object)));
  if (types.isNativeError(object) || object instanceof Error) {
    const { stack: _, ...facts } = toFailure(object);
    return whole("error", toPart(withoutStacks(facts)));
  }
  return undefined;
}

function withoutStacks<T extends { cause: unknown }>(facts: T): T {
  if (facts.cause === null) return facts;
  const { stack: _, ...cause } = facts.cause as { stack: unknown; cause: unknown };
  return { ...facts, cause: withoutStacks(cause) };
}

function toPart(value: unknown): Part {
  return typeof value === "object" && value !== null ? { object: value } : textOfPrimitive(value);
}

/** No text of one kind is one of another; numbers are written by a rule that the language itself lays down. */
function textOfPrimitive(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value);
  if (typeof value === "number") return Object.is(value, -0) ? "-0" : String(value);
  if (typeof value === "bigint") return `${value}n`;
  // The survey does not look at what was put on an array besides its items.
  if (typeof value === "function" || typeof value === "symbol")
    throw new MillraceError(
      "VALUE_NOT_SERIALIZABLE",
      `The value holds a ${typeof value} beside the items of an array.`,
    );
  return String(value);
}

/** As the language names it: a Buffer is a Uint8Array. */
function kindOfView(view: ArrayBufferView): string {
  return (view as unknown as { [Symbol.toStringTag]: string })[Symbol.toStringTag];
}

function hashOfBytes({ buffer, byteOffset, byteLength }: ArrayBufferView): string {
  return digest("sha256", new Uint8Array(buffer, byteOffset, byteLength));
}

function sha256(text: string): string {
  return digest("sha256", text);
}

/** Mostly they are so already, or nearly. */
function sorted(keys: string[]): string[] {
  for (let at = 1; at < keys.length; at += 1) if (keys[at - 1]! > keys[at]!) return keys.sort(byUnits);
  return keys;
}

/** Not by locale. */
function byUnits(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
