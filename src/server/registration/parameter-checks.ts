import { MillraceError } from "../../core/errors.js";
import type { ParameterIssue } from "../../core/parameter-errors.js";
import { parametersInvalid, parametersMissing, parametersUnknown } from "../../core/parameter-errors.js";
import type { FlowToRun } from "../../db/queries/flows.js";
import type { ServerLogLine } from "../parts.js";
import { type CheckValue, compileSchema } from "./parameter-schema.js";
import type { SerializedParameter } from "./serialized-flow.js";

/** Versions of flows whose parameters are remembered; one with schemas is some 10 KB of compiled code. */
const MAX_FLOWS = 200;

/** What a flow's version says of its parameters. A version never changes. */
interface FlowParameters {
  readonly declared: readonly SerializedParameter[];
  /** Only for flows of our own are other names refused: their engine would. Prefect's takes what it is given. */
  readonly isOurs: boolean;
  readonly checks: Map<string, CheckValue>;
}

/** Knows the parameters of the flows that were run lately, least lately first. */
export class ParameterChecks {
  readonly #flows = new Map<string, FlowParameters>();
  readonly #log: (line: ServerLogLine) => void;

  constructor(log: (line: ServerLogLine) => void) {
    this.#log = log;
  }

  /**
   * A new run's parameters: the flow's defaults, the group's over them, and over both what was given (protocol notes,
   * section 2.6). Prefect's own default of 0, false, "", [] or {} is left out, as its server does: its runner fills it in.
   * @throws INPUT_INVALID, PARAMETER_MISSING, PARAMETER_UNKNOWN, PARAMETER_INVALID
   */
  resolve(flow: FlowToRun, given: unknown): Record<string, unknown> {
    const supplied = asObject(given);
    const known = this.#flows.get(flow.id) ?? this.#read(flow);
    this.#remember(flow.id, known);
    const { declared, isOurs } = known;
    const names = declared.map((each) => each.name);
    const has = (name: string) => names.includes(name);
    const unknown = isOurs ? Object.keys(supplied).filter((name) => !has(name)) : [];
    if (unknown.length > 0) throw parametersUnknown(flow.name, unknown, names);
    const ofGroup = Object.entries(JSON.parse(flow.group_default_parameters) as Record<string, unknown>);
    const parameters = Object.fromEntries([
      ...declared
        .filter(({ default: value }) => (isOurs ? value !== null : isTruthy(value)))
        .map((each) => [each.name, each.default] as const),
      // A group's defaults outlive the version that they were made for.
      ...ofGroup.filter(([name]) => !isOurs || has(name)),
      ...Object.entries(supplied),
    ]);
    const missing = declared.filter((each) => each.required && !Object.hasOwn(parameters, each.name));
    if (missing.length > 0) throw whatIsMissing(flow, missing, isOurs);
    if (known.checks.size > 0) this.#check(flow, known, parameters);
    return parameters;
  }

  #remember(flowId: string, known: FlowParameters): void {
    this.#flows.delete(flowId);
    this.#flows.set(flowId, known);
    if (this.#flows.size > MAX_FLOWS) this.#flows.delete(this.#flows.keys().next().value!);
  }

  #check(flow: FlowToRun, { declared, checks }: FlowParameters, parameters: Record<string, unknown>): void {
    const issues: ParameterIssue[] = [];
    for (const { name, required, default: standIn } of declared) {
      const check = checks.get(name);
      const value = parameters[name];
      // What need not be given is null when it is not.
      const isLeftOut = !required && standIn === null && (value === undefined || value === null);
      if (!check || isLeftOut) continue;
      try {
        issues.push(...check(value).map((issue) => ({ parameter: name, ...issue })));
      } catch (error) {
        // This one is not asked again: what it costs stays bounded.
        checks.delete(name);
        this.#giveUp(flow, name, error);
      }
    }
    if (issues.length > 0) throw parametersInvalid(flow.name, issues);
  }

  #read(flow: FlowToRun): FlowParameters {
    const declared = JSON.parse(flow.parameters) as SerializedParameter[];
    const checks = new Map<string, CheckValue>();
    for (const { name, json_schema: schema } of declared) {
      if (schema === undefined || schema === null) continue;
      try {
        checks.set(name, compileSchema(name, schema));
      } catch (error) {
        // It was compiled when the flow was registered, by another version or on a machine with more time.
        this.#giveUp(flow, name, error);
      }
    }
    return { declared, isOurs: flow.engine === "millrace", checks };
  }

  /** The engine asks the author's own schema when the run starts. */
  #giveUp(flow: FlowToRun, name: string, error: unknown): void {
    const message = `The check of parameter "${name}" of flow "${flow.name}" (${flow.id}) was given up, and is not made again.`;
    this.#log({ level: "error", message, error });
  }
}

/** As Python takes it. */
function isTruthy(value: unknown): boolean {
  return typeof value === "object" && value !== null ? Object.keys(value).length > 0 : Boolean(value);
}

/** Before a flow is registered. @throws PARAMETER_SCHEMA_INVALID */
export function checkSchemas(parameters: readonly SerializedParameter[]): void {
  let room = MAX_FLOW_SCHEMA_CHARS;
  for (const { name, json_schema: schema } of parameters) {
    if (schema === undefined || schema === null) continue;
    compileSchema(name, schema);
    room -= JSON.stringify(schema).length;
    if (room < 0) throw schemasTooLarge(name);
  }
}

/** Of all parameters of a flow together, in characters of JSON: compiling them again after a restart takes a second at most. */
export const MAX_FLOW_SCHEMA_CHARS = 65_536;

function schemasTooLarge(name: string): MillraceError {
  return new MillraceError(
    "PARAMETER_SCHEMA_INVALID",
    `The JSON Schema of parameter "${name}" cannot be used: with it those of the flow have more than ${MAX_FLOW_SCHEMA_CHARS} characters.`,
    { hint: "Give smaller ones with the parameters' option `jsonSchema`; {} takes anything." },
  );
}

/** To Prefect's clients in Prefect's words. */
function whatIsMissing(flow: FlowToRun, missing: readonly SerializedParameter[], isOurs: boolean): MillraceError {
  const names = missing.map((each) => each.name);
  if (isOurs) return parametersMissing(flow.name, names);
  const list = names.map((name) => `'${name}'`).join(", ");
  return new MillraceError("PARAMETER_MISSING", `Required parameters were not supplied: {${list}}`, { details: names });
}

function asObject(given: unknown): Record<string, unknown> {
  if (given === undefined || given === null) return {};
  if (typeof given === "object" && !Array.isArray(given)) return given as Record<string, unknown>;
  throw new MillraceError(
    "INPUT_INVALID",
    `create_flow_run: \`parameters\` must be an object, and is ${JSON.stringify(given).slice(0, 80)}.`,
  );
}
