import { MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import type { FlowSpec } from "../core/flow-spec.js";
import type { JsonSchema, StandardSchema } from "../core/parameter.js";

/*
 * What a Cloud, which never loads a flow's code, checks parameters against. It may be wider than the author's schema, which
 * has the last word when the run starts, and must never be narrower: what it refuses never becomes a run. So whatever takes
 * more than its JSON Schema says (a coercion, a fallback, a text that is trimmed first) is described as taking anything.
 */

/** The flow's spec with each parameter's JSON Schema: the author's own, or what the schema's library makes of it. */
export function withJsonSchemas(spec: FlowSpec, flow: FlowDefinition): FlowSpec {
  const byName = new Map(flow.tasks.map((each) => [each.name, each.parameter?.schema]));
  const parameters = spec.parameters.map((each) => {
    const schema = byName.get(each.name);
    return each.jsonSchema !== null || !schema ? each : { ...each, jsonSchema: toJsonSchema(schema) };
  });
  return { ...spec, parameters };
}

/**
 * Null when there is none, or none that says anything: the parameter is checked when the run starts, and not before.
 * For valibot {@link loadConverters} must be over.
 */
export function toJsonSchema(schema: StandardSchema<unknown>): JsonSchema | null {
  const made = convert(schema);
  if (made === undefined) return null;
  const plain = JSON.parse(JSON.stringify(made), toPlain) as Record<string, unknown>;
  return Object.keys(plain).every((key) => key === "$schema") ? null : plain;
}

/** Without keys of our own and the libraries'; and of alternatives that were widened, more than one may fit. */
function toPlain(this: unknown, key: string, value: unknown): unknown {
  if (key.startsWith("~")) return undefined;
  if (typeof value !== "object" || value === null || !("oneOf" in value) || !Array.isArray(value.oneOf)) return value;
  const { oneOf, ...rest } = value;
  return { ...rest, anyOf: oneOf };
}

/** Undefined: no JSON Schema says what it takes. */
function convert(schema: StandardSchema<unknown>): unknown {
  const { vendor, jsonSchema } = schema["~standard"];
  try {
    if (jsonSchema) return jsonSchema.input({ target: "draft-2020-12", libraryOptions: libraryOptions[vendor] });
    if (vendor === "valibot") return convertValibot(schema);
  } catch (error) {
    // The libraries throw for what JSON Schema has no words for. Millrace's own errors are something else.
    if (error instanceof MillraceError) throw error;
  }
  return undefined;
}

const libraryOptions: Record<string, Record<string, unknown>> = {
  zod: { unrepresentable: "any", override: widenZod },
  arktype: { fallback: ({ base }: { base: unknown }) => base },
};

/** As much of zod's inside (`_zod.def`) as must be known. */
interface ZodSchema {
  readonly _zod: { readonly def: ZodDef };
}
interface ZodDef {
  readonly type: string;
  readonly coerce?: boolean;
  readonly in?: ZodSchema;
  readonly innerType?: ZodSchema;
  readonly shape?: Readonly<Record<string, ZodSchema>>;
  readonly checks?: readonly { readonly _zod: { readonly def: { readonly check: string } } }[];
}

/** Called by zod for each schema inside a schema, from the inside out. */
function widenZod({ zodSchema, jsonSchema }: { zodSchema: ZodSchema; jsonSchema: Record<string, unknown> }): void {
  const { def } = zodSchema._zod;
  if (takesAnything(def)) clear(jsonSchema, []);
  // trim(), toLowerCase() and the like come before what follows them: what is asked of the text is asked of another one.
  else if (def.checks?.some((each) => each._zod.def.check === "overwrite")) clear(jsonSchema, ["type"]);
  const { required } = jsonSchema;
  if (def.type !== "object" || !Array.isArray(required)) return;
  jsonSchema.required = required.filter((key: string) => !mayBeMissing(def.shape?.[key]));
}

function takesAnything(def: ZodDef): boolean {
  return def.coerce === true || def.type === "catch" || (def.type === "pipe" && def.in?._zod.def.type === "transform");
}

function mayBeMissing(schema: ZodSchema | undefined): boolean {
  for (let at = schema; at; at = at._zod.def.innerType ?? at._zod.def.in) {
    if (takesAnything(at._zod.def)) return true;
  }
  return false;
}

function clear(jsonSchema: Record<string, unknown>, except: readonly string[]): void {
  for (const key of Object.keys(jsonSchema)) if (!except.includes(key)) delete jsonSchema[key];
}

/** The converter is a package of its own, which who wants it installs. */
function convertValibot(schema: StandardSchema<unknown>): unknown {
  if (!converter || "fallback" in schema) return undefined;
  return converter.toJsonSchema(schema as never, {
    typeMode: "input",
    target: "draft-2020-12",
    errorMode: "ignore",
    overrideSchema: ({ valibotSchema, jsonSchema }) =>
      widenValibot(valibotSchema as unknown as ValibotSchema, jsonSchema as Record<string, unknown>),
    overrideAction: ({ valibotAction, jsonSchema }) =>
      stopAtChange(valibotAction, jsonSchema as Record<string, unknown>),
  });
}

/** As much of valibot's inside as must be known: what a schema holds. */
interface ValibotSchema {
  readonly entries?: Readonly<Record<string, object>>;
  readonly item?: object;
  readonly items?: readonly object[];
  readonly options?: readonly unknown[];
  readonly key?: unknown;
  readonly value?: unknown;
  readonly rest?: unknown;
  readonly wrapped?: object;
}

const fallsBack = (schema: unknown): boolean => typeof schema === "object" && schema !== null && "fallback" in schema;

/** Called by the converter for each schema inside a schema, from the inside out. What falls back takes anything. */
function widenValibot(schema: ValibotSchema, jsonSchema: Record<string, unknown>): Record<string, unknown> {
  const { entries, item, items = [], options = [], key, value, rest, wrapped } = schema;
  if (fallsBack(schema) || [...items, ...options, key, value, rest, wrapped].some(fallsBack)) return {};
  if (fallsBack(item)) return { ...jsonSchema, items: {} };
  const { properties, required } = jsonSchema;
  if (!entries || !Array.isArray(required)) return jsonSchema;
  const wide = Object.keys(entries).filter((name) => fallsBack(entries[name]));
  return {
    ...jsonSchema,
    properties: { ...(properties as object), ...Object.fromEntries(wide.map((name) => [name, {}])) },
    required: required.filter((name: string) => !wide.includes(name)),
  };
}

/** A key of our own, taken out again: what was asked of the value before trim() or the like made another one of it. */
const BEFORE_CHANGE = "~beforeChange";

/** Called for each action of a pipe, in order. */
function stopAtChange({ kind }: { kind: string }, jsonSchema: Record<string, unknown>): Record<string, unknown> {
  const before = jsonSchema[BEFORE_CHANGE] as Record<string, unknown> | undefined;
  if (before) return { ...before, [BEFORE_CHANGE]: before };
  return kind === "transformation" ? { ...jsonSchema, [BEFORE_CHANGE]: { ...jsonSchema } } : jsonSchema;
}

let converter: typeof import("@valibot/to-json-schema") | undefined;

/** Loads what {@link toJsonSchema} cannot wait for, where it is installed. */
export async function loadConverters(): Promise<void> {
  try {
    converter ??= await import("@valibot/to-json-schema");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
  }
}
