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
}
