import { MillraceError } from "../errors.js";
import type { FlowOptions } from "../flow-definition.js";
import { isJson } from "../json.js";
import type { ParameterOptions } from "../parameter.js";
import type { SecretOptions } from "../secret.js";
import type { TaskOptions } from "../task.js";
import { isExecutor } from "./executor.js";
import { checkLocation } from "./location.js";

/** What an option must be, in words and as a question. */
type Check = readonly [wanted: string, holds: (value: unknown) => boolean];

/** Node's timers count in 31 bits: a longer one would fire at once. */
const MAX_TIMER_MS = 2 ** 31 - 1;
/** Below this V8 cannot even start a thread. */
const MIN_HEAP_MB = 16;

const isCount = (value: unknown): boolean => Number.isSafeInteger(value) && (value as number) >= 0;
const isSpan = (value: unknown): boolean => typeof value === "number" && value >= 0 && value <= MAX_TIMER_MS;
const isWord = (value: unknown): boolean => typeof value === "string" && value.trim() !== "";
const isWords = (value: unknown): boolean => Array.isArray(value) && value.every(isWord);
const isTruth = (value: unknown): boolean => typeof value === "boolean";
const isTrigger = (value: unknown): boolean =>
  typeof value === "object" &&
  value !== null &&
  "name" in value &&
  "check" in value &&
  typeof value.check === "function";

const isOneOfKind = (value: unknown): boolean => typeof value === "object" && value !== null && "kind" in value;
const isRecordWith = <Name extends string>(name: Name, value: unknown): value is Record<Name, unknown> =>
  typeof value === "object" && value !== null && name in value;
const isFunction = (value: unknown): boolean => typeof value === "function";
const isPlace = (value: unknown): boolean => isWord(value) || isFunction(value);
const isHandlers = (value: unknown): boolean => Array.isArray(value) && value.every(isFunction);
const isDelay = (value: unknown): boolean =>
  isSpan(value) || (Array.isArray(value) && value.length > 0 && value.every(isSpan));
const isAtLeast = (least: number) => (value: unknown) => typeof value === "number" && value >= least;

const spanText = `milliseconds, at most ${MAX_TIMER_MS} (24.8 days)`;

/** One row for each option, so that an option without a check does not compile. */
const taskChecks: Record<keyof TaskOptions, Check> = {
  retries: ["a whole number of 0 or more", isCount],
  retryDelayMs: [`0 or more ${spanText}, or a list of them`, isDelay],
  retryBackoff: ["a number of 1 or more", isAtLeast(1)],
  maxRetryDelayMs: [`0 or more ${spanText}`, isSpan],
  retryJitter: ["a number from 0 to 1", (value) => isAtLeast(0)(value) && Number(value) <= 1],
  retryOn: [
    "a list of error classes, or a function",
    (value) => isFunction(value) || (Array.isArray(value) && value.length > 0 && value.every(isFunction)),
  ],
  timeoutMs: [`more than 0 ${spanText}`, (value) => isSpan(value) && value !== 0],
  tags: ["a list of words that are not empty", isWords],
  slug: ["a word that is not empty", isWord],
  trigger: ["one of `triggers`, or { name, check }", isTrigger],
  skipOnUpstreamSkip: ["true or false", isTruth],
  cacheForMs: ["a number of milliseconds, more than 0", (value) => isAtLeast(0)(value) && value !== 0],
  cacheValidator: [
    "one of `cacheValidators`, or { name, isValid }",
    (value) => typeof value === "object" && value !== null && "isValid" in value && isFunction(value.isValid),
  ],
  cacheKey: ["a word that is not empty", isWord],
  target: ["a template that is not empty, or a function", isPlace],
  result: ["one of `results`", isOneOfKind],
  checkpoint: ["true or false", isTruth],
  taskRunName: ["a template that is not empty, or a function", isPlace],
  stateHandlers: ["a list of functions", isHandlers],
  onFailure: ["a function", isFunction],
  inline: ["true or false", isTruth],
  logPrints: ["true or false", isTruth],
};

const flowChecks: Record<keyof FlowOptions, Check> = {
  description: ["text", (value) => typeof value === "string"],
  schedule: [
    "one of `schedules`",
    (value) => isJson(value) && isRecordWith("clocks", value) && Array.isArray(value.clocks) && value.clocks.length > 0,
  ],
  executor: ["one of `executors`", isExecutor],
  result: ["one of `results`", isOneOfKind],
  storage: [
    "a new Local(), S3(), GCS() or AzureBlob()",
    (value) => isRecordWith("place", value) && isOneOfKind(value.place),
  ],
  runConfig: ["one of `runConfigs`", isOneOfKind],
  stateHandlers: ["a list of functions", isHandlers],
  onFailure: ["a function", isFunction],
  terminalStateHandler: ["a function", isFunction],
  external: ["a list of package names", isWords],
  freshThread: ["true or false", isTruth],
  maxHeapMb: [
    `a number of MiB, ${MIN_HEAP_MB} or more`,
    (value) => Number.isFinite(value) && Number(value) >= MIN_HEAP_MB,
  ],
};

const isSchema = (value: unknown): boolean => {
  if ((typeof value !== "object" && typeof value !== "function") || value === null) return false;
  const standard = (value as { "~standard"?: { version?: unknown; validate?: unknown } })["~standard"];
  return standard?.version === 1 && isFunction(standard.validate);
};
const schemaText = "a schema that follows Standard Schema, as those of zod 4, valibot 1 and arktype 2 do";

const parameterChecks: Record<keyof ParameterOptions<unknown>, Check> = {
  // Looked at by itself, with a hint of its own.
  default: ["plain JSON", () => true],
  required: ["true or false", isTruth],
  schema: [schemaText, isSchema],
  jsonSchema: [
    "a JSON Schema that is an object",
    (value) => typeof value === "object" && value !== null && !Array.isArray(value) && isJson(value),
  ],
  description: ["text", (value) => typeof value === "string"],
};

const secretChecks: Record<keyof SecretOptions<unknown>, Check> = { schema: [schemaText, isSchema] };

/** @throws TASK_OPTIONS_INVALID */
export function checkParameterOptions(name: string, options: ParameterOptions<unknown>): void {
  check(`Parameter "${name}"`, options, parameterChecks);
}

/** @throws TASK_OPTIONS_INVALID */
export function checkSecretOptions(name: string, options: SecretOptions<unknown>): void {
  check(`Secret "${name}"`, options, secretChecks);
}

/** @throws TASK_OPTIONS_INVALID, and RESULT_LOCATION_INVALID for a template with a name that there is not */
export function checkTaskOptions(name: string, options: TaskOptions): void {
  check(`Task "${name}"`, options, taskChecks);
  for (const template of [options.target, options.taskRunName]) if (template !== undefined) checkLocation(template);
}

/** @throws TASK_OPTIONS_INVALID */
export function checkFlowOptions(name: string, options: FlowOptions): void {
  check(`Flow "${name}"`, options, flowChecks);
}

function check(whose: string, options: unknown, checks: Record<string, Check>): void {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new MillraceError(
      "TASK_OPTIONS_INVALID",
      `${whose} takes its options as an object, and was given ${show(options)}.`,
    );
  }
  for (const [option, value] of Object.entries(options)) {
    if (!Object.hasOwn(checks, option)) {
      throw new MillraceError("TASK_OPTIONS_INVALID", `${whose} has no option \`${option}\`.`, {
        hint: `There are: ${Object.keys(checks).join(", ")}.`,
      });
    }
    const [wanted, holds] = checks[option]!;
    if (value !== undefined && !holds(value)) {
      throw new MillraceError(
        "TASK_OPTIONS_INVALID",
        `${whose}: \`${option}\` must be ${wanted}, and is ${show(value)}.`,
      );
    }
  }
}

/** Longer values are cut in messages. */
const MAX_SHOWN = 80;

function show(value: unknown): string {
  if (typeof value === "number" || typeof value === "bigint") return String(value);
  if (typeof value === "function") return "a function";
  try {
    return (JSON.stringify(value) ?? String(value)).slice(0, MAX_SHOWN);
  } catch {
    return `a ${typeof value}`;
  }
}
