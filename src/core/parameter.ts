import { currentBuild } from "./building.js";
import type { Ref } from "./reference.js";

/** What Millrace needs of a schema: version 1 of Standard Schema (https://standardschema.dev), as zod, valibot and arktype speak it. */
export interface StandardSchema<T, In = unknown> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaOutcome<T> | Promise<SchemaOutcome<T>>;
    readonly types?: { readonly input: In; readonly output: T } | undefined;
  };
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
  /** Used when a run does not give the parameter, and checked as a given one is. Plain JSON. A parameter without one is required. */
  default?: In;
  /** Checks, and may convert, the value at the start of a run. */
  schema?: StandardSchema<T, In>;
  description?: string;
}

/**
 * A value given to each run of the flow. Called inside the build function.
 * @throws PARAMETER_DUPLICATE when the flow has one of that name
 * @example
 * const greet = flow("greet", () => {
 *   const name = parameter("name", { default: "world" });
 *   hello(name);
 * });
 */
export function parameter<T, In = T>(
  name: string,
  options: ParameterOptions<T, In> & { schema: StandardSchema<T, In> },
): Ref<T>;
export function parameter<T = unknown>(name: string, options?: ParameterOptions<T>): Ref<T>;
export function parameter(name: string, options: ParameterOptions<unknown> = {}): Ref<unknown> {
  return currentBuild(`parameter("${name}") was called`).addParameter(name, options);
}
