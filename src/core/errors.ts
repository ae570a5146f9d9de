import { join, sep } from "node:path";
import { fileURLToPath } from "node:url";

/**
 * The catalogue of errors: every code that a user can meet, with what it means. `docs/errors.md` has a section for each
 * (a test holds the two together). A code is never renamed once released.
 */
export const errorCodes = {
  // Authoring
  FLOW_CYCLE: "Tasks of the flow wait for each other in a circle.",
  FLOW_NAME_TAKEN: "Two flows of one module carry the same name.",
  FLOW_EMPTY: "The flow has no tasks.",
  FLOW_BUILD_FAILED: "The flow's build function threw, or did what a build function cannot do.",
  FLOW_INVALID_NAME: "A flow, task or parameter has no usable name.",
  TASK_CALLED_OUTSIDE_FLOW: "A task was called where no flow is being built.",
  TASK_OPTIONS_INVALID: "An option of a task or flow has a value outside its range.",
  TASK_ARGUMENT_INVALID: "A task was given an argument that it cannot be bound to.",
  SCHEDULE_INVALID: "A schedule cannot be read, names no date, or asks for more than it may.",
  REFERENCE_FOREIGN: "A reference of one flow was used in another.",
  PARAMETER_DUPLICATE: "A flow declares the same parameter twice.",
  PARAMETER_MISSING: "A required parameter was not supplied.",
  PARAMETER_UNKNOWN: "A parameter was supplied that the flow does not declare.",
  PARAMETER_INVALID: "A parameter's value was refused by its schema.",
  PARAMETER_SCHEMA_INVALID: "A parameter's JSON Schema cannot be used.",
  CONTEXT_MISSING: "The task context was asked for outside a running task.",
  // Testing
  TEST_TASK_UNKNOWN: "A test names a task that the flow does not have.",
  // Task ids
  TASK_IDS_CHANGED: "The tasks that the code builds are not the tasks that were deployed.",
  // Saving and loading
  FLOW_SOURCE_UNKNOWN: "The file that defines the flow could not be found out.",
  FLOW_NOT_IN_MODULE: "The module does not define a flow of that name.",
  FLOW_LOAD_FAILED: "The saved flow's code threw while it was loaded.",
  BUNDLE_FAILED: "The author's module could not be bundled.",
  PACKAGE_NOT_FOUND: "A package that stays outside the bundle cannot be found where the flow runs.",
  SAVED_FLOW_NOT_FOUND: "There is no saved flow at that place.",
  SAVED_FLOW_CORRUPT: "The bytes are not a whole saved flow.",
  SAVED_FLOW_MISMATCH: "The saved flow is not the one that was registered.",
  SAVED_FLOW_TOO_LARGE: "The saved flow is larger than the limit.",
  SAVED_FLOW_VERSION: "The saved flow was written in a format that this version does not read.",
  SIGNING_KEY_INVALID: "A key to sign flows with, or to know them by, cannot be used.",
  FLOW_NOT_SIGNED: "The flow is not signed by a key that the agent trusts.",
  FLOW_SIGNATURE_INVALID: "The flow's signature is not one of this flow.",
  VALUE_NOT_SERIALIZABLE: "A value cannot leave the thread it was made in.",
  VALUE_CORRUPT: "The bytes are not a whole value.",
  SECRET_NOT_FOUND: "A secret that a task asks for is not there.",
  SECRET_NOT_DECLARED: "A task asks for a secret that its flow does not declare.",
  SECRET_INVALID: "A secret's value was refused by its schema.",
  SECRETS_KEY_INVALID: "The key of the Cloud's secrets is missing, is not the one that sealed them, or cannot be used.",
  KEY_VALUE_NOT_FOUND: "The Cloud keeps nothing under that key.",
  SECRETS_FILE_INVALID: "The file that holds secrets cannot be read.",
  RESULT_LOCATION_INVALID: "A result's location or a target cannot be used.",
  RESULT_TOO_LARGE: "A result is larger than its place takes.",
  RESULT_NOT_FOUND: "The result of a finished task is not where its state says.",
  STORAGE_FAILED: "The storage could not be read or written.",
  STORAGE_UNAUTHORIZED: "The storage does not take the credentials, or there are none.",
  STORAGE_NOT_FOUND: "There is no such bucket or container.",
  STORAGE_WRONG_REGION: "The bucket lies in another region than was asked.",
  STORAGE_TIMEOUT: "The storage did not answer in time.",
  STORAGE_UNREACHABLE: "The storage could not be reached.",
  STORAGE_CORRUPT: "What came from the storage is not what was put there.",
  STORAGE_PACKAGE_MISSING: "The vendor's package for a kind of storage is not installed.",
  // The Cloud, as its clients see it
  CLOUD_UNREACHABLE: "The Cloud did not answer.",
  CLOUD_REFUSED: "The Cloud answered with an error.",
  UNAUTHENTICATED: "The Cloud does not know the token.",
  FORBIDDEN: "The token's scope does not allow what was asked.",
  TOO_MANY_REQUESTS: "Too many requests with a bad token came from one address.",
  HOST_NOT_ALLOWED: "The Cloud was asked under a name that it does not answer to.",
  ORIGIN_NOT_ALLOWED: "A page of another site asked the Cloud.",
  CLOUD_BUSY: "The Cloud cannot answer now, and may a moment later.",
  NOT_LOGGED_IN: "No token for the Cloud was found.",
  LOGIN_FILE_INVALID: "The file that holds the logins cannot be read.",
  TENANT_NOT_FOUND: "There is no such tenant, or the token may not act for it.",
  FLOW_GROUP_NOT_FOUND: "There is no such flow group in the Cloud.",
  PROJECT_NOT_FOUND: "There is no project of that name.",
  FLOW_NOT_FOUND: "There is no such flow in the Cloud.",
  FLOW_ARCHIVED: "The flow's version is archived.",
  FLOW_NOT_DEPLOYED: "The flow was never deployed to that Cloud.",
  TASK_RUN_NOT_PAUSED: "There is no paused task to resume.",
  FLOW_RUN_NOT_FOUND: "There is no such flow run in the Cloud.",
  STATE_REFUSED: "The Cloud did not accept a state.",
  VERSION_LOCKING_ERROR: "A state follows another than the run is in, and the flow's versions are locked.",
  RUN_LEASE_LOST: "Another agent, or the Cloud, has taken the flow run over.",
  INPUT_INVALID: "A request to the Cloud has a value that it cannot use.",
  BODY_TOO_LARGE: "A request to the Cloud is larger than the limit.",
  INTERNAL: "Something failed inside Millrace; the message names an id that stands in the log.",
  // The server and its database
  DATABASE_FAILED: "The database could not be opened or written.",
  IMPORT_REFUSED: "An export cannot be brought into the database.",
  DATABASE_PACKAGE_MISSING: "The package for a kind of database is not installed.",
  DATABASE_TOO_NEW: "The database was written by a newer version of Millrace.",
  ADDRESS_IN_USE: "The server's port is taken.",
  ADDRESS_NOT_LOCAL: "The server was asked to listen beyond this machine without being told that it may.",
  TLS_FILES_INVALID: "The server's certificate or its key cannot be used.",
  // Running
  TASK_TIMED_OUT: "A task ran longer than its timeout.",
  FLOW_NOT_HERE: "A run with no Cloud was to run a flow that it knows by name alone.",
  SUBFLOW_FAILED: "A flow run that a task waited for did not succeed.",
  RUN_CANCELLED: "The flow run was cancelled.",
  RUN_STOPPED: "The flow run was stopped because its agent was asked to stop.",
  WORKER_EXITED: "The flow's code ended its worker thread.",
  WORKER_OUT_OF_MEMORY: "The flow's code used more memory than its worker thread may.",
  WORKER_UNCAUGHT: "The flow's code threw an error, or lost a promise, that nothing caught.",
  WORKER_PROTOCOL: "A worker thread sent a message that is not one of ours.",
  WORKER_FORBIDDEN: "The flow's code asked for something that would reach past its worker thread.",
  RUN_CONFIG_UNSUPPORTED: "The run asks for something that this kind of agent does not do.",
  FLOW_RUN_NOT_CLAIMED: "The Cloud did not give the flow run to the process that was to execute it.",
  DOCKER_PACKAGE_MISSING: "The package with which containers are started is not installed.",
  DOCKER_UNREACHABLE: "The Docker daemon does not answer.",
  DOCKER_IMAGE_MISSING: "The image for a run's container is not there, and could not be pulled.",
  CONTAINER_NOT_STARTED: "A run's container could not be made or started.",
  CONTAINER_ENDED: "A run's container ended, or was removed, before the run had.",
  CONTAINER_OUT_OF_MEMORY: "A run's container was killed because it used more memory than it may.",
  AGENT_LABELS_INVALID: "An agent's labels cannot be used.",
  MAIN_THREAD_ONLY: "A worker file was loaded outside a worker thread, or the reverse.",
  // The command line
  USAGE: "The command line was called with words that it does not take.",
  FILE_NOT_FOUND: "The named file does not exist.",
} as const;

export type ErrorCode = keyof typeof errorCodes;

const brand = Symbol.for("millrace.error");
/** Where this package's own code stands: compiled, and as source maps name it. */
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const OWN_PLACES = ["dist/src", "dist/workers", "src", "workers"].map((folder) => join(ROOT, folder, sep));

/** What an error carries besides its message. */
export interface ErrorFacts {
  /** What to do about it, one sentence. */
  hint?: string;
  cause?: unknown;
  /** Plain data for machines, for instance the rows of a diff. */
  details?: unknown;
}

/**
 * Every error that Millrace throws. Test `error.code`, never `instanceof`: an error that came from a worker thread is a
 * copy made by `codec/failure`.
 */
export class MillraceError extends Error {
  declare readonly code: ErrorCode;
  declare readonly hint: string | undefined;
  declare readonly details: unknown;

  constructor(code: ErrorCode, message: string, facts: ErrorFacts = {}) {
    super(message, facts.cause === undefined ? undefined : { cause: facts.cause });
    const captured: { stack?: string } = {};
    Error.captureStackTrace(captured, MillraceError);
    // Hidden from Node's own dump of an uncaught error: what people need of them stands in the stack's first lines.
    for (const [name, value] of Object.entries({ code, hint: facts.hint, details: facts.details }))
      Object.defineProperty(this, name, { value, configurable: true });
    Object.defineProperty(this, "stack", {
      get: () => [describeError(this), ...framesOf(captured.stack ?? "", code)].join("\n"),
      set: (value: string) => Object.defineProperty(this, "stack", { value, writable: true, configurable: true }),
      configurable: true,
    });
    Object.defineProperty(this, brand, { value: true });
  }
}
Object.defineProperty(MillraceError.prototype, "name", { value: "MillraceError" });

/** The author's frames; all of them when there are no others, or when Millrace itself is at fault. */
function framesOf(stack: string, code: ErrorCode): string[] {
  const frames = stack.split("\n").filter(isFrame);
  const own = code === "INTERNAL" ? [] : frames.filter(isAuthors);
  return own.length > 0 ? own : frames;
}

/** An error's stack as its author wants to read it: without the frames of Millrace and Node. */
export function authorStack(stack: string): string {
  const lines = stack.split("\n");
  const left = lines.filter((line) => !isFrame(line) || isAuthors(line));
  // Thrown by Node or a library on Millrace's own call: then these frames are all that there is.
  return left.some(isFrame) ? left.join("\n") : stack;
}

const isFrame = (line: string): boolean => /^ +at /.test(line);
const isAuthors = (line: string): boolean =>
  !line.includes("node:") && !OWN_PLACES.some((place) => line.includes(place));

/** True for a Millrace error of any realm or copy of the package; with `code`, only for that code. */
export function isMillraceError(error: unknown, code?: ErrorCode): error is MillraceError {
  if (typeof error !== "object" || error === null || !(brand in error)) return false;
  return code === undefined || (error as unknown as MillraceError).code === code;
}

/** The error's code, message and hint as the lines that people see. */
export function describeError(error: unknown): string {
  if (!isMillraceError(error)) return error instanceof Error ? (error.stack ?? error.message) : String(error);
  const lines = [`${error.code}: ${error.message}`];
  if (error.hint) lines.push(`  ${error.hint}`);
  return lines.join("\n");
}
