import { currentBuild } from "./building.js";
import { MillraceError } from "./errors.js";
import type { StandardSchema } from "./parameter.js";
import type { Ref } from "./reference.js";

/** Options of a secret; all of them optional. */
export interface SecretOptions<T> {
  /** Checks, and may convert, the value whenever it was looked up. */
  schema?: StandardSchema<T>;
}

/**
 * A secret that the flow uses: looked up when a task that takes it starts, in each run and on each machine anew. Its value
 * is in no state, result or log, nor in the saved flow. Called inside the build function; called twice for one name it is
 * the same secret. Calling it also lets the flow's tasks ask for it with `taskContext().secret(name)`.
 *
 * `flow.run()` looks in its option `secrets`, then in the environment (`MILLRACE__CONTEXT__SECRETS__<name>`), then in
 * `secrets.json` in Millrace's home folder. Under an agent, the agent looks in its own environment and home folder. Text
 * in the environment is taken as JSON where it is JSON, so `12345` is a number: a schema such as `z.coerce.string()` helps.
 * @throws FLOW_INVALID_NAME, TASK_OPTIONS_INVALID
 * @example
 * const load = flow("load", () => {
 *   const token = secret("API_TOKEN", { schema: z.string() });
 *   fetchRows(token);
 * });
 */
export function secret<T>(name: string, options: SecretOptions<T> & { schema: StandardSchema<T> }): Ref<T>;
export function secret<T = unknown>(name: string, options?: SecretOptions<T>): Ref<T>;
export function secret(name: string, options: SecretOptions<unknown> = {}): Ref<unknown> {
  return currentBuild(`secret("${name}") was called`).addSecret(name, options);
}

/** What the engine, and the agent that it asks, answer a task that wants a secret of another flow. */
export function secretNotDeclared(flowName: string, name: string, declared: readonly string[]): MillraceError {
  const names = declared.map((each) => `"${each}"`).join(", ");
  return new MillraceError("SECRET_NOT_DECLARED", `Flow "${flowName}" does not declare a secret "${name}".`, {
    hint: `Call secret(${JSON.stringify(name)}) in the flow's build function. It declares ${names === "" ? "none" : names}.`,
  });
}
