import { MillraceError } from "./errors.js";

/*
 * What is wrong with the parameters of a run, in the same words wherever it is found out: by the Cloud before there is a
 * run, and by the engine at its start.
 */

/** One thing that is wrong with a value; plain JSON. */
export interface ParameterIssue {
  readonly parameter: string;
  /** Where inside the value, for instance `lines[2].price`; empty: the value itself. */
  readonly path: string;
  readonly message: string;
  /** What stands there, as JSON, cut where it is long. */
  readonly found: string;
}

/** Longer values are cut in messages. */
const MAX_FOUND_CHARS = 80;
/** More issues are counted, not told: a list of a thousand bad items needs no thousand lines. */
const MAX_TOLD = 10;

export function parametersUnknown(
  flow: string,
  unknown: readonly string[],
  declared: readonly string[],
): MillraceError {
  return new MillraceError("PARAMETER_UNKNOWN", `Flow "${flow}" has no parameter ${quoted(unknown)}.`, {
    hint: declared.length === 0 ? "The flow declares no parameters." : `The flow declares ${quoted(declared)}.`,
    details: unknown,
  });
}

export function parametersMissing(flow: string, names: readonly string[]): MillraceError {
  const what = names.length === 1 ? "the parameter" : "the parameters";
  return new MillraceError("PARAMETER_MISSING", `Flow "${flow}" needs ${what} ${quoted(names)}, and was given none.`, {
    hint: "Supply it with the run, or give it a default in the flow.",
    details: names,
  });
}

/** @param issues At least one. */
export function parametersInvalid(
  flow: string,
  issues: readonly ParameterIssue[],
  facts: { cause?: unknown } = {},
): MillraceError {
  const told = issues.slice(0, MAX_TOLD).map(({ parameter, path, message, found }) => {
    const place = path === "" ? "" : ` at ${path}`;
    return `"${parameter}"${place}: ${message}, found ${found}`;
  });
  if (issues.length > MAX_TOLD) told.push(`and ${issues.length - MAX_TOLD} more`);
  const names = new Set(issues.map((each) => each.parameter));
  const what = names.size === 1 ? "A parameter" : "Parameters";
  return new MillraceError(
    "PARAMETER_INVALID",
    `${what} of flow "${flow}" ${names.size === 1 ? "is" : "are"} not valid: ${told.join("; ")}.`,
    { hint: `See the schema of ${quoted([...names])} in the flow.`, details: issues.slice(0, MAX_TOLD), ...facts },
  );
}

/** A way into a value as an author writes it, for instance `lines[2].price`. */
export function pathText(keys: readonly PropertyKey[]): string {
  return keys
    .map((key, index) => {
      const text = String(key);
      if (typeof key === "number" || /^\d+$/.test(text)) return `[${text}]`;
      if (!/^[\p{L}_$][\p{L}\p{N}_$-]*$/u.test(text)) return `[${JSON.stringify(text)}]`;
      return index === 0 ? text : `.${text}`;
    })
    .join("");
}

/** What stands at a place of a value, for messages. */
export function foundText(value: unknown, keys: readonly PropertyKey[]): string {
  let at = value;
  for (const key of keys) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, key)) return "nothing";
    at = (at as Record<PropertyKey, unknown>)[key];
  }
  if (at === undefined) return "nothing";
  return clip(jsonText(at) ?? `a ${typeof at}`);
}

function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value);
  } catch {
    return undefined;
  }
}

function clip(text: string): string {
  return text.length <= MAX_FOUND_CHARS ? text : `${text.slice(0, MAX_FOUND_CHARS)}…`;
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}
