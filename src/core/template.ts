import { isReference, type Reference } from "./reference.js";

/** A reference found inside a value, with the way to it. */
export interface FoundReference {
  reference: Reference;
  path: string[];
}

/** Only arrays and plain objects are looked into; anything else is one value. */
function isPlainObject(value: unknown): value is Record<string, unknown> {
  if (typeof value !== "object" || value === null) return false;
  const prototype = Object.getPrototypeOf(value);
  return prototype === Object.prototype || prototype === null;
}

/** All references inside `value`, in reading order; `path` is where it stands. */
export function references(value: unknown): Reference[];
export function references(value: unknown, path: string[]): FoundReference[];
export function references(value: unknown, path?: string[]): Reference[] | FoundReference[] {
  const found: FoundReference[] = [];
  collect(value, path ?? [], found, new Set());
  return path === undefined ? found.map((each) => each.reference) : found;
}

function collect(value: unknown, path: string[], found: FoundReference[], parents: Set<unknown>): void {
  if (isReference(value)) {
    found.push({ reference: value, path });
    return;
  }
  if (!Array.isArray(value) && !isPlainObject(value)) return;
  // A value that holds itself cannot hold a reference that was not met before.
  if (parents.has(value)) return;
  parents.add(value);
  for (const [key, item] of Object.entries(value)) collect(item, [...path, key], found, parents);
  parents.delete(value);
}

/** A value taken apart once, to be filled many times. Made by {@link compile}. */
export interface Template {
  /** The references in it, in reading order; empty for a constant. */
  readonly references: readonly Reference[];
  /** The value with each reference replaced by what `read` gives; parts without references are handed on as they are. */
  readonly fill: (read: (reference: Reference) => unknown) => unknown;
}

type Part =
  | { readonly kind: "constant"; readonly value: unknown }
  | { readonly kind: "reference"; readonly reference: Reference }
  | { readonly kind: "array"; readonly items: Part[] }
  | { readonly kind: "object"; readonly keys: string[]; readonly items: Part[] };

/** Takes `value` apart, so that filling it costs only the parts that hold references. */
export function compile(value: unknown): Template {
  const found = references(value);
  if (isReference(value)) return { references: found, fill: (read) => read(value) };
  if (found.length === 0) return { references: found, fill: () => value };
  const root = toPart(value, new Map());
  return { references: found, fill: (read) => fillPart(root, read, new Map()) };
}

/** `value` with each reference in it replaced by what `read` gives. To fill one value often, {@link compile} it. */
export function fill(value: unknown, read: (reference: Reference) => unknown): unknown {
  return compile(value).fill(read);
}

/** `seen` keeps what is shared shared, and lets a value hold itself. */
function toPart(value: unknown, seen: Map<unknown, Part>): Part {
  if (isReference(value)) return { kind: "reference", reference: value };
  const known = seen.get(value);
  if (known) return known;
  if (!(Array.isArray(value) || isPlainObject(value)) || references(value).length === 0)
    return { kind: "constant", value };
  const items: Part[] = [];
  const part: Part = Array.isArray(value)
    ? { kind: "array", items }
    : { kind: "object", keys: Object.keys(value), items };
  seen.set(value, part);
  for (const item of Array.isArray(value) ? value : Object.values(value)) items.push(toPart(item, seen));
  return part;
}

function fillPart(part: Part, read: (reference: Reference) => unknown, made: Map<Part, unknown>): unknown {
  if (part.kind === "constant") return part.value;
  if (part.kind === "reference") return read(part.reference);
  const existing = made.get(part);
  if (existing) return existing;
  if (part.kind === "array") {
    const list: unknown[] = [];
    made.set(part, list);
    for (const item of part.items) list.push(fillPart(item, read, made));
    return list;
  }
  const record: Record<string, unknown> = {};
  made.set(part, record);
  part.keys.forEach((key, index) => {
    // defineProperty: a key named __proto__ is data here too.
    const value = fillPart(part.items[index]!, read, made);
    if (key === "__proto__")
      Object.defineProperty(record, key, { value, enumerable: true, configurable: true, writable: true });
    else record[key] = value;
  });
  return record;
}
