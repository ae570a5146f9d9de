import { isDeepStrictEqual } from "node:util";

/** What a cached state knows of the run that made it, and what the run at hand has. */
export interface CacheFacts {
  /** Milliseconds since 1970; undefined: never expires. */
  readonly expiresAt: number | undefined;
  readonly now: number;
  /** For each argument, by its place ("0", "1" …), a hash that is the same in every process and Node version. */
  readonly cachedInputs: Readonly<Record<string, string>> | undefined;
  readonly inputs: Readonly<Record<string, string>>;
  readonly cachedParameters: Readonly<Record<string, unknown>> | undefined;
  readonly parameters: Readonly<Record<string, unknown>>;
}

/** Decides whether a cached result stands for running the task. `name` is what the Cloud shows. */
export interface CacheValidator {
  readonly name: string;
  readonly isValid: (facts: CacheFacts) => boolean;
  /** True: it never looks at the inputs, which are then not hashed. Default false. */
  readonly ignoresInputs?: boolean;
}

type Named = Readonly<Record<string, unknown>>;

const isFresh = ({ expiresAt, now }: CacheFacts): boolean => expiresAt === undefined || expiresAt > now;

/** A cached state that was written without them, for instance that of a target, stands for no inputs and no parameters. */
const sameInputs = ({ cachedInputs, inputs }: CacheFacts): boolean =>
  cachedInputs !== undefined && isDeepStrictEqual({ ...cachedInputs }, { ...inputs });
const sameParameters = ({ cachedParameters, parameters }: CacheFacts): boolean =>
  cachedParameters !== undefined && isDeepStrictEqual({ ...cachedParameters }, { ...parameters });

function validator(name: string, ignoresInputs: boolean, holds: (facts: CacheFacts) => boolean): CacheValidator {
  return Object.freeze({ name, ignoresInputs, isValid: (facts: CacheFacts) => isFresh(facts) && holds(facts) });
}

/**
 * The validators of Prefect 1.x (section 3.10 of the protocol notes). Each asks first whether the cached result is younger
 * than its task's `cacheForMs`. Inputs are a task's arguments, told by their places from 0 on.
 * @example
 * const rates = task("rates", { cacheForMs: 3_600_000, cacheValidator: cacheValidators.allInputs }, loadRates);
 * const report = task(
 *   "report",
 *   { cacheForMs: 86_400_000, cacheValidator: cacheValidators.partialParametersOnly(["day"]) },
 *   makeReport,
 * );
 */
export const cacheValidators = {
  /** The task always runs; its results may stand for other tasks with the same `cacheKey`. */
  neverUse: validator("never_use", true, () => false),
  /** The default: whatever is young enough. */
  durationOnly: validator("duration_only", true, () => true),
  /** All arguments must be the same. */
  allInputs: validator("all_inputs", false, sameInputs),
  /** All of the flow's parameters must be the same. */
  allParameters: validator("all_parameters", true, sameParameters),
  /** The arguments at these places must be the same; the others may differ. */
  partialInputsOnly: (places: readonly number[]): CacheValidator =>
    validator(`partial_inputs_only(${places.join(", ")})`, places.length === 0, ({ cachedInputs, inputs }) =>
      agree(cachedInputs, inputs, places.map(String)),
    ),
  /** The parameters of these names must be the same; the others may differ. */
  partialParametersOnly: (names: readonly string[]): CacheValidator =>
    validator(`partial_parameters_only(${names.join(", ")})`, true, ({ cachedParameters, parameters }) =>
      agree(cachedParameters, parameters, names),
    ),
} as const;

function agree(cached: Named | undefined, now: Named, names: readonly string[]): boolean {
  return names.every((name) => cached !== undefined && isDeepStrictEqual(own(cached, name), own(now, name)));
}

/** Names come from authors and from the Cloud: `constructor` is a name like any other. */
function own(record: Named, name: string): unknown {
  return Object.hasOwn(record, name) ? record[name] : undefined;
}
