/** Deeper values are left to `codec/value`. */
const MAX_DEPTH = 100;

/**
 * The value's JSON text when reading that text gives the same value again and it takes at most `maxBytes`; otherwise
 * undefined. Two places that hold one object come back as two equal objects. Never throws; looks at no more of a large
 * value than it takes to see that it is too large.
 */
export function asInlineJson(value: unknown, maxBytes: number): string | undefined {
  try {
    if (weigh(value, maxBytes, 0) < 0) return undefined;
    const text = JSON.stringify(value);
    return Buffer.byteLength(text) <= maxBytes ? text : undefined;
  } catch {
    // A getter or a Proxy that throws: then it is not plain data.
    return undefined;
  }
}

/** The bytes left of `budget` after `value`, by a lower bound of its length; negative when it is too long or no JSON. */
function weigh(value: unknown, budget: number, depth: number): number {
  if (typeof value === "string") return budget - value.length - 2;
  if (typeof value === "number") return Number.isFinite(value) && !Object.is(value, -0) ? budget - 1 : -1;
  if (typeof value === "boolean" || value === null) return budget - 4;
  if (typeof value !== "object" || depth > MAX_DEPTH) return -1;
  return Array.isArray(value)
    ? weighArray(value, budget - 2, depth)
    : weighObject(value as Record<string, unknown>, budget - 2, depth);
}

function weighArray(value: readonly unknown[], budget: number, depth: number): number {
  // Holes read as undefined, which is no JSON; further properties would be lost. One name is `length`.
  let left = budget - Math.max(0, value.length - 1);
  if (left < 0 || Object.getPrototypeOf(value) !== Array.prototype) return -1;
  if (Object.getOwnPropertyNames(value).length !== value.length + 1) return -1;
  for (let index = 0; index < value.length && left >= 0; index += 1) left = weigh(value[index], left, depth + 1);
  return Object.getOwnPropertySymbols(value).length === 0 ? left : -1;
}

function weighObject(value: Record<string, unknown>, budget: number, depth: number): number {
  // An object without a prototype would come back with one, and one with hidden properties without them.
  if (Object.getPrototypeOf(value) !== Object.prototype) return -1;
  const keys = Object.keys(value);
  if (Object.getOwnPropertyNames(value).length !== keys.length) return -1;
  let left = budget;
  for (const key of keys) {
    left = weigh(value[key], left - key.length - 3, depth + 1);
    if (left < 0) return -1;
  }
  return Object.getOwnPropertySymbols(value).length === 0 ? left : -1;
}
