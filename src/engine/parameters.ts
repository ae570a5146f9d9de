import { MillraceError } from "../core/errors.js";
import type { FlowDefinition, FlowTask } from "../core/flow-definition.js";
import { isRequired } from "../core/flow-spec.js";
import type { SchemaOutcome, StandardSchema } from "../core/parameter.js";
import {
  foundText,
  type ParameterIssue,
  parametersInvalid,
  parametersMissing,
  parametersUnknown,
  pathText,
} from "../core/parameter-errors.js";

/** The values of a run's parameters, by name. */
export interface ResolvedParameters {
  /** As the run was given them, or their defaults. */
  readonly given: Readonly<Record<string, unknown>>;
  /** As the schemas converted them: what tasks get. */
  readonly values: Readonly<Record<string, unknown>>;
}

/**
 * Fills in the defaults and asks the schemas. A default is checked like a given value; a parameter that need not be given
 * and was not is null, and its schema is not asked. All that one question finds wrong is told at once.
 * @throws PARAMETER_MISSING, PARAMETER_UNKNOWN, PARAMETER_INVALID
 */
export async function resolveParameters(
  flow: FlowDefinition,
  supplied: Readonly<Record<string, unknown>>,
): Promise<ResolvedParameters> {
  const declared = flow.tasks.filter((task) => task.kind === "parameter");
  refuseUnknown(flow, declared, supplied);
  const isSupplied = (task: FlowTask) => {
    const value = Object.hasOwn(supplied, task.name) ? supplied[task.name] : undefined;
    return value !== undefined && !(value === null && isLeftOutAsNull(task));
  };
  const missing = declared.filter((task) => !isSupplied(task) && isRequired(task.parameter));
  if (missing.length > 0) throw parametersMissing(flow.name, namesOf(missing));

  const given: Record<string, unknown> = {};
  const values: Record<string, unknown> = {};
  const issues: ParameterIssue[] = [];
  let cause: unknown;
  for (const task of declared) {
    const { name, parameter } = task;
    const isGiven = isSupplied(task) || parameter?.default !== undefined;
    const value = isSupplied(task) ? supplied[name] : (parameter?.default ?? null);
    put(given, name, value);
    const asked = isGiven && parameter?.schema ? await ask(parameter.schema, value) : { value };
    if ("issues" in asked) {
      issues.push(...asked.issues.map((issue) => ({ parameter: name, ...issue })));
      cause ??= asked.cause;
    } else put(values, name, asked.value);
  }
  if (issues.length > 0) throw parametersInvalid(flow.name, issues, cause === undefined ? {} : { cause });
  return { given: Object.freeze(given), values: Object.freeze(values) };
}

/** Null stands for "not given" where nothing else could. */
function isLeftOutAsNull({ parameter }: FlowTask): boolean {
  return parameter?.default === undefined && parameter?.required === false;
}

function refuseUnknown(flow: FlowDefinition, declared: readonly FlowTask[], supplied: object): void {
  const names = namesOf(declared);
  const unknown = Object.keys(supplied).filter((name) => !names.includes(name));
  if (unknown.length > 0) throw parametersUnknown(flow.name, unknown, names);
}

/** What a schema answered: the value as it converts it, or what is wrong with it. */
export type SchemaAnswer =
  | { readonly value: unknown }
  | { readonly issues: readonly Omit<ParameterIssue, "parameter">[]; readonly cause?: unknown };

/** Asks a schema, which may take its time. Never throws. */
export async function ask(schema: StandardSchema<unknown>, value: unknown): Promise<SchemaAnswer> {
  let outcome: SchemaOutcome<unknown>;
  try {
    outcome = await schema["~standard"].validate(value);
  } catch (cause) {
    const message = `its schema threw ${cause instanceof Error ? cause.message : String(cause)}`;
    return { issues: [{ path: "", message, found: foundText(value, []) }], cause };
  }
  if (!outcome.issues) return { value: outcome.value };
  return {
    issues: outcome.issues.map(({ message, path }) => {
      // Not path.map(): arktype's paths are a class of arrays whose map() of an empty one gives [0].
      const keys = Array.from(path ?? [], (part) => (typeof part === "object" ? part.key : part));
      return { path: pathText(keys), message, found: foundText(value, keys) };
    }),
  };
}

/** What a secret's schema makes of it. No word of the value is told. @throws SECRET_INVALID */
export async function convertSecret(
  name: string,
  schema: StandardSchema<unknown> | undefined,
  value: unknown,
): Promise<unknown> {
  if (!schema) return value;
  const answer = await ask(schema, value);
  if (!("issues" in answer)) return answer.value;
  const places = [...new Set(answer.issues.map(({ path }) => (path === "" ? "" : ` at ${path}`)))];
  throw new MillraceError("SECRET_INVALID", `The secret "${name}" was refused by its schema${places.join(",")}.`, {
    hint: `It is a ${value === null ? "null" : Array.isArray(value) ? "list" : typeof value}; text in the environment is taken as JSON where it is JSON. See its schema in the flow.`,
  });
}

function namesOf(tasks: readonly FlowTask[]): string[] {
  return tasks.map((task) => task.name);
}

/** A parameter may be called anything, `__proto__` too. */
function put(record: Record<string, unknown>, name: string, value: unknown): void {
  Object.defineProperty(record, name, { value, enumerable: true, configurable: true, writable: true });
}
