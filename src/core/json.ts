/** Is `value` the same after a trip through JSON? */
export function isJson(value: unknown): boolean {
  return holdsJsonOnly(value, new Set());
}

function holdsJsonOnly(value: unknown, parents: Set<object>): boolean {
  if (value === null || typeof value === "string" || typeof value === "boolean") return true;
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || parents.has(value)) return false;
  const prototype = Object.getPrototypeOf(value);
  if (!Array.isArray(value) && prototype !== Object.prototype && prototype !== null) return false;
  parents.add(value);
  const holds = Object.values(value).every((item) => holdsJsonOnly(item, parents));
  parents.delete(value);
  return holds;
}
