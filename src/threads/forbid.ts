import { MillraceError } from "../core/errors.js";

const HINT = "Debug the agent's whole process, or run the flow inline.";

/** Gives `target` a property for good. */
export function fix(target: object, name: string, value: unknown): void {
  Reflect.defineProperty(target, name, { value, writable: false, enumerable: true, configurable: false });
}

/** A function that throws WORKER_FORBIDDEN in place of doing what `name` says. */
export function refusal(name: string): () => never {
  return () => {
    throw forbidden(`${name} reaches past a flow's worker thread and is not available there.`);
  };
}

export function forbidden(message: string, hint = HINT): MillraceError {
  return new MillraceError("WORKER_FORBIDDEN", message, { hint });
}
