import { currentBuild } from "./building.js";
import type { Ref } from "./reference.js";

/** What Millrace needs of a schema: version 1 of Standard Schema (https://standardschema.dev), as zod, valibot and arktype speak it. */
export interface StandardSchema<T> {
  readonly "~standard": {
    readonly version: 1;
    readonly vendor: string;
    readonly validate: (value: unknown) => SchemaOutcome<T> | Promise<SchemaOutcome<T>>;
    readonly types?: { readonly input: unknown; readonly output: T } | undefined;
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

export interface ParameterOptions<T> {
  /** Used when a run does not give the parameter. Plain JSON. A parameter without one is required. */
  default?: T;
  /** Checks, and may convert, the value at the start of a run. */
  schema?: StandardSchema<T>;
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
export function parameter<T = unknown>(name: string, options: ParameterOptions<T> = {}): Ref<T> {
  return currentBuild(`parameter("${name}") was called`).addParameter(
    name,
    options as ParameterOptions<unknown>,
  ) as unknown as Ref<T>;
}
