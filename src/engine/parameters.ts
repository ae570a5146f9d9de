import { MillraceError } from "../core/errors.js";
import type { FlowDefinition, FlowTask } from "../core/flow-definition.js";
import type { SchemaOutcome } from "../core/parameter.js";

/** The values of a run's parameters, by name. */
export interface ResolvedParameters {
  /** As the run was given them, or their defaults. */
  readonly given: Readonly<Record<string, unknown>>;
  /** As the schemas converted them: what tasks get. */
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * Fills in the defaults and asks the schemas. A default is checked like a given value.
 * @throws PARAMETER_MISSING, PARAMETER_UNKNOWN, PARAMETER_INVALID
 */
export async function resolveParameters(
  flow: FlowDefinition,
  supplied: Readonly<Record<string, unknown>>,
): Promise<ResolvedParameters> {
  const declared = flow.tasks.filter((task) => task.kind === "parameter");
  refuseUnknown(flow, declared, supplied);
  const given: Record<string, unknown> = {};
  const values: Record<string, unknown> = {};
  for (const task of declared) {
    const value = valueFor(flow, task, supplied);
    put(given, task.name, value);
    put(values, task.name, task.parameter?.schema ? await validate(flow, task, value) : value);
  }
  return { given: Object.freeze(given), values: Object.freeze(values) };
}

function refuseUnknown(flow: FlowDefinition, declared: readonly FlowTask[], supplied: object): void {
  const names = declared.map((task) => task.name);
  const unknown = Object.keys(supplied).filter((name) => !names.includes(name));
  if (unknown.length === 0) return;
  throw new MillraceError("PARAMETER_UNKNOWN", `Flow "${flow.name}" has no parameter ${quoted(unknown)}.`, {
    hint: names.length === 0 ? "The flow declares no parameters." : `The flow declares ${quoted(names)}.`,
  });
}

function valueFor(
  flow: FlowDefinition,
  { name, parameter }: FlowTask,
  supplied: Readonly<Record<string, unknown>>,
): unknown {
  if (Object.hasOwn(supplied, name) && supplied[name] !== undefined) return supplied[name];
  if (parameter?.default !== undefined) return parameter.default;
  throw new MillraceError(
    "PARAMETER_MISSING",
    `Flow "${flow.name}" needs the parameter "${name}", and was given none.`,
    {
      hint: "Supply it with the run, or give it a default in the flow.",
    },
  );
}

async function validate(flow: FlowDefinition, { name, parameter }: FlowTask, value: unknown): Promise<unknown> {
  const refused = (why: string, cause?: unknown) =>
    new MillraceError("PARAMETER_INVALID", `Parameter "${name}" of flow "${flow.name}" is not valid: ${why}.`, {
      hint: "See the parameter's schema in the flow.",
      ...(cause === undefined ? {} : { cause }),
    });
  let outcome: SchemaOutcome<unknown>;
  try {
    outcome = await parameter!.schema!["~standard"].validate(value);
  } catch (error) {
    throw refused(`its schema threw ${error instanceof Error ? error.message : String(error)}`, error);
  }
  if (outcome.issues) throw refused(outcome.issues.map(describeIssue).join("; "));
  return outcome.value;
}

type Issue = NonNullable<SchemaOutcome<unknown>["issues"]>[number];

function describeIssue({ message, path }: Issue): string {
  const way = (path ?? []).map((part) => String(typeof part === "object" ? part.key : part)).join(".");
  return way === "" ? message : `at ${way}: ${message}`;
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(", ");
}

/** A parameter may be called anything, `__proto__` too. */
function put(record: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}
