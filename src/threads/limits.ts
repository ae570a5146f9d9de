/*
 * How much one report may hold. The worker's state stream keeps to these numbers and the main thread refuses more, so that
 * a thread can take neither the agent's memory nor its time.
 */

/** States in one report. A map of 1,000 with its Running and Success fits in one. */
export const MAX_REPORT_STATES = 2_000;
/** Log lines in one report. */
export const MAX_REPORT_LOGS = 1_000;
/** Characters of text in one report, all in all: a fifth of the 5 MB that a Prefect server takes in one request. */
export const MAX_REPORT_CHARS = 1_000_000;
/** Characters of one state's JSON. A parameter's value travels in its state, so this bounds parameters as well. */
export const MAX_STATE_CHARS = 500_000;
/** Characters of a state's message or a log line; longer ones are cut with a note. */
export const MAX_MESSAGE_CHARS = 20_000;
/** How deep a state's JSON may be nested, and how many values it may hold. */
export const MAX_STATE_DEPTH = 32;
export const MAX_STATE_VALUES = 20_000;
/** Characters of an id, slug, name or instant. */
export const MAX_NAME_CHARS = 2_000;
/** Questions of one run that wait for their answer: each mapped child may ask, and the engine has 256 of those in flight. */
export const MAX_QUESTIONS = 1_024;
