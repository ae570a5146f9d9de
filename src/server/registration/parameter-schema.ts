import { createContext, Script } from "node:vm";
import { Ajv, type ErrorObject, type Options, type ValidateFunction } from "ajv";
import { Ajv2020 } from "ajv/dist/2020.js";
import { MillraceError } from "../../core/errors.js";
import { foundText, type ParameterIssue, pathText } from "../../core/parameter-errors.js";

/*
 * JSON Schemas come from whoever may register a flow, and values from whoever may start one. Both can be made so that a
 * check takes for ever: a pattern that backtracks, references that double at each level, a schema that refers to itself. So
 * a schema is bounded in size and depth before it is compiled; nothing is loaded for a reference that leads outside; and
 * compiling and checking end after a time, which V8 enforces inside regular expressions as well.
 */

/** As JSON. At this size compiling takes half a second (measured: 1,500 properties with patterns, 69,000 characters: 0.93 s). */
export const MAX_SCHEMA_CHARS = 32_768;
/** Nobody writes deeper ones by hand, and the compiler calls itself at each level. */
export const MAX_SCHEMA_DEPTH = 64;
/** The largest schema that is let in compiles in a quarter of it; the rest is for a busy machine. */
const COMPILE_MS = 2_000;
/** The whole server waits meanwhile. A check of an honest schema takes microseconds. */
export const CHECK_MS = 100;

/** One instance for one schema: an instance keeps every `$id` that it has seen, and must not know two of the same. */
const options: Options = {
  strict: false,
  meta: false,
  validateSchema: false,
  // Formats are the schema library's own business, and it is asked when the run starts.
  validateFormats: false,
  // A definition that is used a thousand times is not to be copied a thousand times.
  inlineRefs: false,
  allErrors: false,
};

/** Checks a value; the list is empty when it fits. @throws when the check does not end in time, or cannot be made */
export type CheckValue = (value: unknown) => Omit<ParameterIssue, "parameter">[];

/** @throws PARAMETER_SCHEMA_INVALID naming the parameter and what is wrong with its schema */
export function compileSchema(parameter: string, schema: unknown): CheckValue {
  const text = checkSize(parameter, schema);
  const validate = compile(parameter, schema as Record<string, unknown>);
  const isPlain = text.length <= MAX_PLAIN_CHARS && !COSTLY.test(text);
  const check = (value: unknown) =>
    validate(value) ? [] : (validate.errors ?? []).map((each) => toIssue(value, each));
  return isPlain ? check : (value) => inTime(CHECK_MS, () => check(value));
}

/** What makes a check take longer than its schema and value are long. */
const COSTLY = /"(pattern|patternProperties|uniqueItems|\$ref|\$dynamicRef|\$recursiveRef)"\s*:/;
/** A schema of this size without any of those costs little, whatever the value. */
const MAX_PLAIN_CHARS = 2_000;

function checkSize(parameter: string, schema: unknown): string {
  if (typeof schema !== "object" || schema === null || Array.isArray(schema))
    throw invalid(parameter, "it is no object");
  if (depthOf(schema, 0) > MAX_SCHEMA_DEPTH)
    throw invalid(parameter, `it is nested more than ${MAX_SCHEMA_DEPTH} deep`);
  const text = JSON.stringify(schema);
  if (text.length > MAX_SCHEMA_CHARS)
    throw invalid(parameter, `it has ${text.length} characters as JSON, and ${MAX_SCHEMA_CHARS} at most are taken`);
  return text;
}

function depthOf(value: unknown, depth: number): number {
  if (typeof value !== "object" || value === null || depth > MAX_SCHEMA_DEPTH) return depth;
  let deepest = depth;
  for (const item of Object.values(value)) deepest = Math.max(deepest, depthOf(item, depth + 1));
  return deepest;
}

function compile(parameter: string, schema: Record<string, unknown>): ValidateFunction {
  const { $schema, ...bare } = schema;
  const isDraft07 = typeof $schema === "string" && /draft-0[467]/.test($schema);
  const problem = explain(bare, isDraft07);
  if (problem !== null) throw invalid(parameter, problem);
  try {
    const ajv = isDraft07 ? new Ajv(options) : new Ajv2020(options);
    const validate = inTime(COMPILE_MS, () => ajv.compile(bare));
    // Its answer would be a promise.
    if ("$async" in validate) throw invalid(parameter, "it has `$async`");
    return validate;
  } catch (error) {
    if (error instanceof MillraceError) throw error;
    throw invalid(parameter, error instanceof Error ? error.message : String(error), error);
  }
}

let metaSchemas: { draft07: Ajv; draft2020: Ajv } | undefined;

/** What the schema of schemas says of it; null: nothing. */
function explain(schema: object, isDraft07: boolean): string | null {
  metaSchemas ??= { draft07: new Ajv({ strict: false }), draft2020: new Ajv2020({ strict: false }) };
  const ajv = isDraft07 ? metaSchemas.draft07 : metaSchemas.draft2020;
  return ajv.validateSchema(schema) === true ? null : ajv.errorsText(ajv.errors, { dataVar: "it", separator: ", " });
}

let inside: () => unknown = () => undefined;
const context = createContext({ call: () => inside() });
const script = new Script("call()");

/** Costs a thread that watches, some 0.1 ms. @throws what `run` throws; an error of Node's when the time is over */
function inTime<T>(ms: number, run: () => T): T {
  inside = run;
  try {
    return script.runInContext(context, { timeout: ms }) as T;
  } finally {
    inside = () => undefined;
  }
}

function toIssue(value: unknown, { instancePath, keyword, message, params }: ErrorObject) {
  const keys = instancePath
    .split("/")
    .slice(1)
    .map((key) => key.replaceAll("~1", "/").replaceAll("~0", "~"));
  const more =
    keyword === "additionalProperties" || keyword === "unevaluatedProperties"
      ? `: ${JSON.stringify(params.additionalProperty ?? params.unevaluatedProperty)}`
      : keyword === "enum"
        ? `: ${JSON.stringify(params.allowedValues)}`
        : keyword === "const"
          ? `: ${JSON.stringify(params.allowedValue)}`
          : "";
  return { path: pathText(keys), message: `${message ?? keyword}${clip(more)}`, found: foundText(value, keys) };
}

/** Longer lists of what was allowed are cut. */
const MAX_MORE_CHARS = 200;

function clip(text: string): string {
  return text.length <= MAX_MORE_CHARS ? text : `${text.slice(0, MAX_MORE_CHARS)}…`;
}

function invalid(parameter: string, why: string, cause?: unknown): MillraceError {
  return new MillraceError(
    "PARAMETER_SCHEMA_INVALID",
    `The JSON Schema of parameter "${parameter}" cannot be used: ${why}.`,
    {
      hint: "Give a smaller or plainer one with the parameter's option `jsonSchema`; {} takes anything.",
      ...(cause === undefined ? {} : { cause }),
    },
  );
}
