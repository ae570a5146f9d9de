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

/** `value` with each reference in it replaced by what `read` gives; parts without references are handed on as they are. */
export function fill(value: unknown, read: (reference: Reference) => unknown): unknown {
  if (isReference(value)) return read(value);
  if (Array.isArray(value)) {
    return references(value).length === 0 ? value : value.map((item) => fill(item, read));
  }
  if (!isPlainObject(value) || references(value).length === 0) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fill(item, read)]));
}
