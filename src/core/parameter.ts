import { currentBuild } from "./building.js";
import type { Ref } from "./reference.js";

/** What Millrace needs of a schema: version 1 of Standard Schema (https://standardschema.dev), as zod, valibot and arktype speak it. */
export interface StandardSchema<T, In = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaOutcome<T> | Promise<SchemaOutcome<T>>;
    readonly types?: { readonly input: In; readonly output: T } | undefined;
    /** Standard JSON Schema, where the library has it (zod from 4.2 on, arktype from 2.1.28 on). */
    readonly jsonSchema?: { readonly input: (options: JsonSchemaRequest) => Record<string, unknown> } | undefined;
  };
}
export interface JsonSchemaRequest {
  readonly target: "draft-2020-12";
  /** What the library itself understands. */
  readonly libraryOptions?: Record<string, unknown> | undefined;
}
export type SchemaOutcome<T> =
  | { readonly value: T; readonly issues?: undefined }
  | {
      readonly issues: readonly {
        readonly message: string;
        readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined;
      }[];
    };

export interface ParameterOptions<T, In = T> {
  /**
   * Used when a run does not give the parameter, and checked as a given one is. Plain JSON. A parameter without one is
   * required, unless `required` is false.
   */
  default?: In;
  /** False: a run may leave the parameter out. It is null then, which the schema is not asked about. Default true. */
  required?: boolean;
  /** Checks, and may convert, the value at the start of a run. */
  schema?: StandardSchema<T, In>;
  /**
   * What the Cloud checks a value against before it makes a run: JSON Schema of 2020-12, or of draft-07 with a `$schema`
   * that says so. Default: what the library of `schema` makes of it, where it can.
   */
  jsonSchema?: JsonSchema;
  /** For people. */
  description?: string;
}

/** A JSON Schema that is an object; plain JSON. */
export type JsonSchema = Readonly<Record<string, unknown>>;

/** A run may leave it out, and there is nothing in its place. */
interface Optional {
  required: false;
  default?: undefined;
}

/**
 * A value given to each run of the flow. Called inside the build function. Dates and the like come as text, which the
 * schema converts: `z.coerce.date()`.
 * @throws PARAMETER_DUPLICATE when the flow has one of that name; TASK_OPTIONS_INVALID
 * @example
 * const greet = flow("greet", () => {
 *   const name = parameter("name", { default: "world" });
 *   const times = parameter("times", { schema: z.number().int().positive() });
 *   hello(name, times);
 * });
 */
export function parameter<T, In = T>(
  name: string,
  options: ParameterOptions<T, In> & { schema: StandardSchema<T, In> } & Optional,
): Ref<T | null>;
export function parameter<T = unknown>(name: string, options: ParameterOptions<T> & Optional): Ref<T | null>;
export function parameter<T, In = T>(
  name: string,
  options: ParameterOptions<T, In> & { schema: StandardSchema<T, In> },
): Ref<T>;
export function parameter<T = unknown>(name: string, options?: ParameterOptions<T>): Ref<T>;
export function parameter(name: string, options: ParameterOptions<unknown> = {}): Ref<unknown> {
  return currentBuild(`parameter("${name}") was called`).addParameter(name, options);
}
