import { type ErrorCode, errorCodes, MillraceError } from "../core/errors.js";

/** No whole answer came: the connection failed, broke, or stayed silent. */
export class NoAnswer extends Error {
  constructor(cause: unknown) {
    super("no answer", { cause });
  }
}

/** The Cloud answered, and not with what was asked for. */
export class BadAnswer extends Error {
  readonly status: number;
  readonly errors: readonly WireError[];
  /** The beginning of the body, for messages. */
  readonly excerpt: string;

  constructor(status: number, errors: readonly WireError[], excerpt: string) {
    super("an answer with errors");
    this.status = status;
    this.errors = errors;
    this.excerpt = excerpt;
  }
}

/** Characters of a strange body that a message shows. */
const EXCERPT_LENGTH = 120;

/** A {@link BadAnswer} of a body that may or may not be a GraphQL answer. */
export function badAnswer(status: number, body: string): BadAnswer {
  const excerpt = body.slice(0, EXCERPT_LENGTH);
  try {
    const { errors } = JSON.parse(body) as { errors?: unknown };
    return new BadAnswer(status, Array.isArray(errors) ? errors : [], excerpt);
  } catch {
    return new BadAnswer(status, [], excerpt);
  }
}

export interface WireError {
  message?: unknown;
  path?: readonly (string | number)[];
  extensions?: { code?: unknown; hint?: unknown; details?: unknown } | null;
}

/** Statuses under which a server that is being started, stopped or overrun answers. */
const PASSING_STATUSES: ReadonlySet<number> = new Set([500, 502, 503, 504]);
/** The request never left: repeating it cannot do a thing twice. */
const NEVER_SENT: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);
/** A certificate does not get better by asking again. */
const TLS_CODE = /^(ERR_TLS|ERR_SSL|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO_)/;
const CLOSED_CODES: ReadonlySet<string> = new Set(["UND_ERR_CLOSED", "UND_ERR_DESTROYED"]);

/** May the request that ended so be sent again? `repeatable` says whether doing it twice is the same as once. */
export function mayRepeat(error: unknown, repeatable: boolean): boolean {
  if (error instanceof BadAnswer) {
    return repeatable && (PASSING_STATUSES.has(error.status) || error.errors[0]?.extensions?.code === "API_ERROR");
  }
  if (!(error instanceof NoAnswer)) return false;
  const code = causeCode(error);
  if (TLS_CODE.test(code) || CLOSED_CODES.has(code)) return false;
  return repeatable || NEVER_SENT.has(code);
}

export interface Asked {
  url: string;
  /** The operation's name. */
  operation: string;
}

/** The error that callers of the client see. */
export function toCloudError(error: unknown, asked: Asked): unknown {
  if (error instanceof NoAnswer) return unreachable(describeCause(error), asked, error.cause);
  if (!(error instanceof BadAnswer)) return error;
  const first = error.errors[0];
  if (first) return fromWireError(first, error, asked);
  return fromStatus(error, asked);
}

function fromWireError(first: WireError, answer: BadAnswer, asked: Asked): MillraceError {
  const { code, hint, details } = first.extensions ?? {};
  const message = String(first.message ?? "an error without a message");
  const facts = {
    ...(typeof hint === "string" ? { hint } : {}),
    ...(details === undefined ? {} : { details }),
    cause: answer.errors,
  };
  if (code === "UNAUTHENTICATED" || answer.status === 401 || message.includes("Malformed Authorization header")) {
    return unauthenticated(message, asked, answer.errors);
  }
  if (isKnownCode(code)) return new MillraceError(code, message, facts);
  return new MillraceError("CLOUD_REFUSED", `The Cloud at ${asked.url} refused ${asked.operation}: ${message}`, {
    ...facts,
    details: details ?? { code: code ?? null },
  });
}

function fromStatus(answer: BadAnswer, asked: Asked): MillraceError {
  const { status } = answer;
  if (PASSING_STATUSES.has(status)) return unreachable(`HTTP status ${status}`, asked, answer);
  if (status === 401) return unauthenticated("no reason given", asked, undefined);
  if (status === 413) {
    return new MillraceError(
      "BODY_TOO_LARGE",
      `The Cloud at ${asked.url} refused ${asked.operation}: the request is larger than it takes.`,
    );
  }
  const [what, hint] = explainStatus(status, answer.excerpt);
  return new MillraceError("CLOUD_REFUSED", `The Cloud at ${asked.url} refused ${asked.operation}: ${what}.`, { hint });
}

function explainStatus(status: number, excerpt: string): [what: string, hint: string] {
  switch (status) {
    case 403:
      return [
        "the token is not allowed to do this (HTTP status 403)",
        "Use a token of scope USER: `millrace auth create-token`.",
      ];
    case 404:
      return [
        "there is no GraphQL API at that address (HTTP status 404)",
        "Check the address in MILLRACE_API_URL or the one given to `millrace auth login`.",
      ];
    case 429:
      return ["too many requests (HTTP status 429)", "Wait a little and try again."];
    default: {
      const body = excerpt === "" ? "an empty body" : JSON.stringify(excerpt);
      return [
        `the answer is not GraphQL (HTTP status ${status}, ${body})`,
        "Check that the address is a Millrace Cloud's.",
      ];
    }
  }
}

function unauthenticated(message: string, asked: Asked, cause: unknown): MillraceError {
  return new MillraceError(
    "UNAUTHENTICATED",
    `The Cloud at ${asked.url} does not accept the token: ${message.replace(/^UNAUTHENTICATED: /, "")}`,
    {
      hint: "Log in with `millrace auth login`, or set MILLRACE_API_TOKEN to a token of this Cloud.",
      cause,
    },
  );
}

function unreachable(why: string, asked: Asked, cause: unknown): MillraceError {
  return new MillraceError(
    "CLOUD_UNREACHABLE",
    `The Cloud at ${asked.url} did not answer ${asked.operation}: ${why}.`,
    {
      hint: "Start one with `millrace server start`, or set MILLRACE_API_URL to the address of yours.",
      cause,
    },
  );
}

function describeCause(error: NoAnswer): string {
  const { cause } = error;
  const code = causeCode(error);
  if (CLOSED_CODES.has(code)) return "this client was closed";
  const message = cause instanceof Error ? cause.message : String(cause);
  if (message === "" || message === "fetch failed") return code || "the connection failed";
  return code === "" || message.includes(code) ? message : `${message} (${code})`;
}

/** The code of the failure, which may lie under a `cause` or, for a name with several addresses, in a list. */
function causeCode(error: Error): string {
  let at: unknown = error.cause;
  for (let depth = 0; depth < 5 && typeof at === "object" && at !== null; depth++) {
    const { code, cause, errors } = at as { code?: unknown; cause?: unknown; errors?: unknown };
    if (typeof code === "string") return code;
    at = cause ?? (Array.isArray(errors) ? errors[0] : undefined);
  }
  return "";
}

function isKnownCode(code: unknown): code is ErrorCode {
  return typeof code === "string" && Object.hasOwn(errorCodes, code);
}
