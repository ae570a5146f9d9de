import { toFailure } from "../../codec/failure.js";
import { hashValue } from "../../codec/value-hash.js";
import { isJson } from "../../core/json.js";
import { type CacheFacts, type CacheValidator, cacheValidators } from "../../core/options/cache-validator.js";
import { fillLocation, toPlace } from "../../core/options/location.js";
import type { Reference } from "../../core/reference.js";
import { makeState, type State } from "../../core/state.js";
import { failed } from "../failed-state.js";
import { makeLogger } from "../logger.js";
import type { ArgumentPlan } from "../plan.js";
import { locationNames, placeOf } from "./result-place.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";

/*
 * Results that stand for running a task, in the order of section 3.3 of the protocol notes: before the task runs, what lies
 * at its target (`findTarget`), then what an earlier run left in the cache (`findCached`); behind it, its own result for
 * later runs (`toCached`).
 */

/**
 * The Cached state of a task run at whose target something lies already; nothing is read until a task needs it. A target
 * that cannot be, or cannot be looked at, gives the Failed state to end with. Undefined: there is no target, or nothing there.
 * Never rejects.
 */
export async function findTarget(
  run: TaskRun,
  args: readonly unknown[],
  around: Surroundings,
): Promise<State | undefined> {
  const { target } = run.plan.task.options;
  if (target === undefined) return undefined;
  try {
    const place = toPlace(fillLocation(target, locationNames(run, around, args)));
    const result = await around.ports.results.find(place, placeOf(run, around, args));
    if (!result) return undefined;
    const at = around.timestamps.now();
    return makeState("Cached", `Result found at task target ${place}`, { at, result, cacheExpiresAt: null });
  } catch (error) {
    return failed(
      `The target of the task could not be looked at: ${toFailure(error).message}`,
      error,
      around.timestamps.now(),
    );
  }
}

/**
 * The Cached state to end with in place of running, made of the newest earlier result that the task's validator takes and
 * that can be read; its value is put into the task run, with `valueKnown`. A validator that throws gives a Failed state.
 * Undefined: run the task. Never rejects. A task run that is Cached already is finished, as any other: no validator is asked
 * again when its flow run resumes.
 */
export async function findCached(
  run: TaskRun,
  args: readonly unknown[],
  around: Surroundings,
): Promise<State | undefined> {
  const { cacheForMs, cacheKey, cacheValidator: validator = cacheValidators.durationOnly } = run.plan.task.options;
  if (cacheForMs === undefined || validator === cacheValidators.neverUse) return undefined;
  const asked = askedOf(run, args, validator, around);
  if (!asked) return undefined;
  // For ever is longer than a Date can look back.
  const sinceAt = new Date(Math.max(0, asked.now - cacheForMs)).toISOString();
  const { id: taskId, slug: taskSlug } = run.plan.task;
  const candidates = await around.ports.caches.candidates({ taskId, taskSlug, cacheKey, sinceAt }).catch((error) => {
    warn(run, around, `The cache could not be looked at, so the task runs: ${toFailure(error).message}`);
    return [];
  });
  for (const candidate of candidates) {
    try {
      if (!holds(validator, candidate, asked)) continue;
    } catch (error) {
      return validatorFailed(validator, error, around);
    }
    if (await readValue(run, candidate, around)) return reuse(candidate, around);
  }
  return undefined;
}

/**
 * Behind a task's Success: the Cached state that follows it when the task keeps its results for later runs. Otherwise the state that was given: the very same object, and then nothing more is to be reported.
 *
 * A result that nobody else can read, because the task does not keep it, is not cached. An input that has no hash is left
 * out: what it was made from cannot be compared later, so a validator that looks at it will not take the result. An input
 * that is a secret is left out too, here and in questions: secrets are no part of the comparison.
 * @param args The very list that {@link findCached} was given: it has been hashed there, before the task could change it.
 */
export async function toCached(
  state: State,
  run: TaskRun,
  args: readonly unknown[],
  around: Surroundings,
): Promise<State> {
  const { options } = run.plan.task;
  const { cacheForMs, cacheValidator = cacheValidators.durationOnly } = options;
  if (state.type !== "Success" || cacheForMs === undefined || options.checkpoint === false) return state;
  const hashes = cacheValidator.ignoresInputs ? undefined : hashInputs(run, args);
  if (hashes?.refused) warn(run, around, `The result is cached without one of its inputs: ${hashes.refused}`);
  return makeState("Cached", state.message, {
    at: around.timestamps.now(),
    ...(state.result ? { result: state.result } : {}),
    ...(state.context ? { context: state.context } : {}),
    cacheExpiresAt: expiry(around.ports.clock.now(), cacheForMs),
    ...(hashes ? { inputHashes: hashes.hashes } : {}),
    cachedParameters: plainParameters(around),
  });
}

/** Tells later runs of a Cached state that counts. */
export function keepCached(cached: State, { plan }: TaskRun, { ports }: Surroundings): void {
  const { id: taskId, slug: taskSlug, options } = plan.task;
  ports.caches.add({ taskId, taskSlug, cacheKey: options.cacheKey }, cached);
}

/** No later date has a name in ISO 8601's four-digit years, and none is needed. */
const LAST_EXPIRY = Date.UTC(9999, 11, 31);

function expiry(now: number, cacheForMs: number): string | null {
  const expiresAt = now + cacheForMs;
  return expiresAt < LAST_EXPIRY ? new Date(expiresAt).toISOString() : null;
}

type Asked = Pick<CacheFacts, "now" | "inputs" | "parameters">;

/** Undefined when an input cannot be compared: then nothing that is cached fits. */
function askedOf(
  run: TaskRun,
  args: readonly unknown[],
  validator: CacheValidator,
  around: Surroundings,
): Asked | undefined {
  const { hashes, refused } = validator.ignoresInputs ? { hashes: {}, refused: undefined } : hashInputs(run, args);
  if (refused) {
    warn(run, around, `The task runs, as its cache cannot compare the inputs: ${refused}`);
    return undefined;
  }
  return { now: around.ports.clock.now(), inputs: hashes, parameters: plainParameters(around) };
}

function holds(validator: CacheValidator, cached: State, asked: Asked): boolean {
  const { cacheExpiresAt, inputHashes, cachedParameters } = cached;
  return (
    validator.isValid({
      ...asked,
      expiresAt: cacheExpiresAt ? Date.parse(cacheExpiresAt) : undefined,
      cachedInputs: inputHashes,
      cachedParameters,
    }) === true
  );
}

/** True when the candidate's value is there, and now in the task run. One that is gone is told and passed over. */
async function readValue(run: TaskRun, { result }: State, around: Surroundings): Promise<boolean> {
  try {
    run.value = result ? await around.ports.results.read(result) : undefined;
    run.valueKnown = true;
    return true;
  } catch (error) {
    warn(run, around, `A cached result is passed over, as it cannot be read: ${toFailure(error).message}`);
    return false;
  }
}

/** What the run that made the result knew goes on; only the time is this run's. */
function reuse(candidate: State, around: Surroundings): State {
  const { result, cacheExpiresAt = null, inputHashes, cachedParameters } = candidate;
  return makeState("Cached", `Cached result of ${candidate.at} was used.`, {
    at: around.timestamps.now(),
    ...(result ? { result } : {}),
    cacheExpiresAt,
    ...(inputHashes ? { inputHashes } : {}),
    ...(cachedParameters ? { cachedParameters } : {}),
  });
}

interface Hashes {
  readonly hashes: Record<string, string>;
  /** Why an argument has none. */
  readonly refused: string | undefined;
}

/** By the list of arguments: a function may change what it is given, so those of before it ran are the ones that count. */
const hashed = new WeakMap<readonly unknown[], Hashes>();

function hashInputs(run: TaskRun, args: readonly unknown[]): Hashes {
  const known = hashed.get(args);
  if (known) return known;
  const hashes: Record<string, string> = {};
  let refused: string | undefined;
  args.forEach((arg, place) => {
    // A hash in a state lets who reads it try out words until one fits.
    if (holdsSecret(run.plan.args[place])) return;
    try {
      hashes[place] = hashValue(arg);
    } catch (error) {
      refused ??= `argument ${place} has no hash. ${toFailure(error).message}`;
    }
  });
  const made = { hashes, refused };
  hashed.set(args, made);
  return made;
}

function holdsSecret(arg: ArgumentPlan | undefined): boolean {
  const isSecret = ({ flowTask }: Reference) => flowTask.kind === "secret";
  if (arg?.kind === "whole") return arg.template.references.some(isSecret);
  return arg?.kind === "items" && arg.templates.some((each) => each.references.some(isSecret));
}

/**
 * The run's parameters as plain JSON. One that its schema has made into something else stands as that value's hash; when it
 * has none, as it was given.
 */
function plainParameters({ parameters, run }: Surroundings): Record<string, unknown> {
  const plain: [string, unknown][] = Object.entries(parameters).map(([name, value]) => {
    if (isJson(value)) return [name, toJson(value)];
    try {
      return [name, `hash ${hashValue(value)}`];
    } catch {
      const given = run.parameters[name];
      return [name, isJson(given) ? toJson(given) : null];
    }
  });
  return Object.fromEntries(plain);
}

/** A copy, and -0 is 0: as it comes back from the Cloud. */
const toJson = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown;

function validatorFailed({ name }: CacheValidator, error: unknown, { timestamps }: Surroundings): State {
  return failed(`The cache validator "${name}" threw an error: ${toFailure(error).message}`, error, timestamps.now());
}

function warn(run: TaskRun, { ports, timestamps }: Surroundings, text: string): void {
  const at = () => timestamps.now();
  makeLogger(run.plan.task.name, run.taskRunId, at, (line) => ports.reporter.log(line)).warn(text);
}
