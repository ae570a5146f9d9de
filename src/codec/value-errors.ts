import { type FailureRecord, fromFailure, toFailure } from "./failure.js";
import { isPlainObject } from "./value-survey.js";

/** A value with a stand-in where each Error was. v8 keeps identity, so each is found again as the very same object. */
export interface Swapped {
  value: unknown;
  standIns: object[];
  failures: FailureRecord[];
}

/** A copy of the value's containers, with stand-ins for its Errors; everything else is handed on as it is. */
export function takeErrorsOut(value: unknown): Swapped {
  const swapped: Swapped = { value: undefined, standIns: [], failures: [] };
  swapped.value = rebuild(value, new Map(), (item) => {
    if (!(item instanceof Error)) return undefined;
    const standIn = {};
    swapped.standIns.push(standIn);
    swapped.failures.push(toFailure(item));
    return standIn;
  });
  return swapped;
}

/** The value again, with Errors made of the records where the stand-ins are. */
export function putErrorsBack({ value, standIns, failures }: Swapped): unknown {
  const errors = new Map(standIns.map((standIn, index) => [standIn, fromFailure(failures[index]!)]));
  return rebuild(value, new Map(), (item) => errors.get(item));
}

/** Copies arrays, plain objects, maps and sets, circles included; `swap` may give another object in an object's place. */
function rebuild(value: unknown, done: Map<object, unknown>, swap: (item: object) => object | undefined): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (done.has(value)) return done.get(value);
  const other = swap(value);
  const copy = other ?? emptyCopy(value);
  done.set(value, copy);
  if (other !== undefined || copy === value) return copy;
  const again = (item: unknown) => rebuild(item, done, swap);
  if (value instanceof Map)
    for (const [key, item] of value) (copy as Map<unknown, unknown>).set(again(key), again(item));
  else if (value instanceof Set) for (const item of value) (copy as Set<unknown>).add(again(item));
  else
    for (const [key, item] of Object.entries(value))
      Object.defineProperty(copy, key, { value: again(item), writable: true, enumerable: true, configurable: true });
  return copy;
}

function emptyCopy(value: object): object {
  if (Array.isArray(value)) return new Array(value.length);
  if (value instanceof Map) return new Map();
  if (value instanceof Set) return new Set();
  return isPlainObject(value) ? {} : value;
}
