import type { IncomingMessage, ServerResponse } from "node:http";
import { type ExecutionArgs, type ExecutionResult, execute, type GraphQLSchema, OperationTypeNode } from "graphql";
import { createHandler as createSseHandler } from "graphql-sse";
import { isMillraceError } from "../../core/errors.js";
import type { Authenticator } from "../access/auth.js";
import { FailedLogins } from "../access/failed-logins.js";
import type { Outcome } from "../operations/counts.js";
import type { Caller, RequestContext, ServerParts } from "../parts.js";
import { type CheckedOperation, DocumentCache } from "./document-cache.js";
import { writeEvents } from "./event-stream.js";
import { busyError, isDatabaseFailure, requestError, toWireError, type WireError } from "./graphql-error.js";
import { type GraphqlParams, readParams } from "./graphql-params.js";

/** What a call on an open connection is answered with: what an HTTP answer would have as status and body. */
export interface CallAnswer {
  status: number;
  text: string;
  /** When the client may come again, in seconds. */
  retryAfterS?: number;
}

/** Answers GraphQL over HTTP and over open connections, and subscriptions as server-sent events. */
export interface GraphqlApi {
  /** Of a body that would be POSTed; the headers are those under which the connection was opened. */
  call(opening: RequestHead, body: string): Promise<CallAnswer>;
  /** May this request open a connection? Resolves with why not, or undefined. */
  refuseConnection(opening: RequestHead): Promise<CallAnswer | undefined>;
  /** `read` is called once it is known who asks: nobody else's body is taken in. */
  answer(request: IncomingMessage, response: ServerResponse, read: () => Promise<string>): Promise<void>;
  stream(request: IncomingMessage, response: ServerResponse, read: () => Promise<string>): Promise<void>;
}

/** What is looked at of a request besides its body. */
export interface RequestHead extends Pick<IncomingMessage, "method" | "url" | "headers"> {
  readonly socket: Pick<IncomingMessage["socket"], "remoteAddress">;
}

interface Incoming {
  request: RequestHead;
  read: () => string | Promise<string>;
}

/**
 * Requests under way at once; what comes beyond is turned away with status 503. Each holds up to 5 MiB of body, and a server
 * that does 3,000 requests a second is behind by a third of one then.
 */
const MAX_REQUESTS = 1_000;
/** When a client that was turned away may come again, in seconds. */
const RETRY_AFTER_S = 1;

export function makeGraphqlApi(
  schema: GraphQLSchema,
  parts: ServerParts,
  authenticator: Authenticator,
  maxRequests = MAX_REQUESTS,
): GraphqlApi {
  const documents = new DocumentCache(schema);
  const failedLogins = new FailedLogins();
  const wireError = (error: unknown) => toWireError(error, parts.log);
  let underWay = 0;

  async function authenticate(request: RequestHead): Promise<Caller | Refusal> {
    try {
      return await authenticator.authenticate(request.headers);
    } catch (error) {
      return refuseCaller(error, request);
    }
  }

  function refuseCaller(error: unknown, request: RequestHead): Refusal {
    if (isDatabaseFailure(error)) return { status: 503, errors: [wireError(error)], retryAfterS: RETRY_AFTER_S };
    if (isMillraceError(error, "UNAUTHENTICATED")) {
      const retryAfterS = failedLogins.note(request.socket.remoteAddress);
      if (retryAfterS > 0) return { status: 429, errors: [tooManyLogins(retryAfterS)], retryAfterS };
    }
    return { status: 200, errors: [wireError(error)] };
  }

  /** The operation to execute, or the errors to answer with and the HTTP status to do it with. */
  async function prepare({ request, read: readBody }: Incoming): Promise<Prepared | Refusal> {
    const caller = await authenticate(request);
    if ("status" in caller) return caller;
    const body = await readBody();
    const params = request.method === "GET" ? readQueryString(request.url ?? "") : readParams(body);
    if ("message" in params) return { status: 400, errors: [params] };
    const checked = documents.get(params.query);
    if (checked.errors) {
      const errors = checked.errors.map((error) => ({ ...wireError(error), extensions: { code: checked.code } }));
      return { status: 400, errors };
    }
    const operation = pick(checked.operations, params.operationName);
    if ("message" in operation) return { status: 400, errors: [operation] };
    const read = operation.readVariables(params.variables);
    if ("errors" in read) return { status: 200, errors: read.errors.map(wireError) };
    const contextValue = { ...contextOf(request, parts, caller), variables: params.variables };
    const { operationName } = params;
    const args = { schema, document: checked.document, operationName, variableValues: read.values, contextValue };
    return { kind: operation.kind, firstRoot: operation.firstRoot, args };
  }

  const sse = createSseHandler<Prepared, undefined, ContextValue>({
    // Without stream tokens only single connections are left: each carries one operation.
    authenticate: () => null,
    // The document cache has.
    validate: () => [],
    onSubscribe: ({ raw }) => raw.args,
    onNext: (_context, _request, result) => withWireErrors(result, wireError),
  });

  async function answerTo(incoming: Incoming): Promise<CallAnswer> {
    if (underWay >= maxRequests) {
      const errors = [busyError(`more than ${maxRequests} requests are under way`, parts.log)];
      return toAnswer({ status: 503, errors, retryAfterS: RETRY_AFTER_S });
    }
    underWay += 1;
    const begunAt = performance.now();
    try {
      const { operation, outcome, ...answer } = await executeWhole(incoming);
      parts.counts.request(operation, outcome, performance.now() - begunAt);
      return answer;
    } finally {
      underWay -= 1;
    }
  }

  async function executeWhole(incoming: Incoming): Promise<CountedAnswer> {
    const prepared = await prepare(incoming);
    const refusal = "status" in prepared ? prepared : refuseKind(prepared.kind, incoming.request.method);
    if (refusal)
      return { ...toAnswer(refusal), operation: "none", outcome: refusal.status >= 500 ? "unavailable" : "refused" };
    const { firstRoot: operation } = prepared as Prepared;
    const result = execute((prepared as Prepared).args);
    const whole = result instanceof Promise ? await result : (result as ExecutionResult);
    const failure = whole.errors?.find(isDatabaseFailure);
    // Prefect's client takes any other answer for the last word: it ends its run, or asks again without a pause.
    if (failure) {
      const answer = toAnswer({ status: 503, errors: [wireError(failure)], retryAfterS: RETRY_AFTER_S });
      return { ...answer, operation, outcome: "unavailable" };
    }
    const outcome = whole.errors ? "errors" : "ok";
    return { status: 200, text: JSON.stringify(withWireErrors(whole, wireError)), operation, outcome };
  }

  return {
    async answer(request, response, read) {
      const { status, text, retryAfterS } = await answerTo({ request, read });
      if (status === 405) response.setHeader("allow", "POST");
      if (retryAfterS !== undefined) response.setHeader("retry-after", retryAfterS);
      answerJson(request, response, status, text);
    },
    call: ({ headers, socket }, body) =>
      answerTo({ request: { method: "POST", url: "/graphql", headers, socket }, read: () => body }),
    async refuseConnection(opening) {
      const caller = await authenticate(opening);
      return "status" in caller ? toAnswer({ ...caller, status: streamStatus(caller) }) : undefined;
    },
    async stream(request, response, read) {
      const prepared = await prepare({ request, read });
      const refusal = "status" in prepared ? prepared : refuseByLink(prepared.kind, request.method);
      if (refusal) {
        const { status, text } = toAnswer({ ...refusal, status: streamStatus(refusal) });
        if (status === 405) response.setHeader("allow", "POST");
        for (const [name, value] of Object.entries(retryHeaders(refusal))) response.setHeader(name, value);
        return answerJson(request, response, status, text);
      }
      const headers = { get: (name: string) => headerOf(request, name) };
      // What was read of the request already is not read again: only its headers count, and what to execute.
      const body = { query: "" };
      const [events, init] = await sse({
        method: "POST",
        url: "/",
        headers,
        body,
        raw: prepared as Prepared,
        context: undefined,
      });
      response.writeHead(init.status, init.headers);
      if (events === null || events === undefined || typeof events === "string") {
        response.end(events ?? undefined);
        return;
      }
      await writeEvents(events, response, () => parts.events.closed);
    },
  };
}

/** The request's context as the libraries' types want it: an interface is not a record to them, a type is. */
type ContextValue = Pick<RequestContext, keyof RequestContext>;

interface Prepared {
  kind: OperationTypeNode;
  firstRoot: string;
  args: ExecutionArgs & { contextValue: ContextValue };
}

/** An answer, and how it is counted. */
interface CountedAnswer extends CallAnswer {
  operation: string;
  outcome: Outcome;
}

interface Refusal {
  status: number;
  errors: WireError[];
  retryAfterS?: number;
}

const toAnswer = ({ status, errors, retryAfterS }: Refusal): CallAnswer => ({
  status,
  text: JSON.stringify({ errors }),
  ...(retryAfterS === undefined ? {} : { retryAfterS }),
});

/** What is no GraphQL answer has a status of its own: without a good token 401, and what could not be asked 400. */
function streamStatus({ status, errors }: Refusal): number {
  if (status !== 200) return status;
  return errors[0]?.extensions.code === "UNAUTHENTICATED" ? 401 : 400;
}

const retryHeaders = ({ retryAfterS }: Refusal): Record<string, string> =>
  retryAfterS === undefined ? {} : { "retry-after": `${retryAfterS}` };

function tooManyLogins(seconds: number): WireError {
  const message = "UNAUTHENTICATED: too many requests with a bad token came from this address.";
  return requestError("TOO_MANY_REQUESTS", message, `Ask again after ${seconds} s, with a token of this Cloud.`);
}

const JSON_TYPE = "application/json; charset=utf-8";

/** The operation that is asked for by name, or the only one. */
function pick(operations: readonly CheckedOperation[], name: string | null): CheckedOperation | WireError {
  const found =
    name === null && operations.length === 1 ? operations[0] : operations.find((each) => each.name === name);
  if (found && (name !== null || operations.length === 1)) return found;
  const message = name === null ? "The document has several operations." : `The document has no operation "${name}".`;
  return requestError("GRAPHQL_VALIDATION_FAILED", message);
}

/** What cannot be answered with one answer, or must not be done by following a link. */
function refuseKind(kind: OperationTypeNode, method: string | undefined): Refusal | undefined {
  if (kind === OperationTypeNode.SUBSCRIPTION) {
    const error = requestError("INPUT_INVALID", "Subscriptions are answered at /graphql/stream.");
    return { status: 400, errors: [error] };
  }
  return refuseByLink(kind, method);
}

/** Following a link must change nothing. */
function refuseByLink(kind: OperationTypeNode, method: string | undefined): Refusal | undefined {
  if (kind === OperationTypeNode.MUTATION && method === "GET") {
    return { status: 405, errors: [requestError("INPUT_INVALID", "A mutation must be POSTed.")] };
  }
  return undefined;
}

function answerJson(request: IncomingMessage, response: ServerResponse, status: number, text: string): void {
  const wantsGraphql = request.headers.accept?.includes("application/graphql-response+json");
  const type = wantsGraphql ? "application/graphql-response+json; charset=utf-8" : JSON_TYPE;
  response.writeHead(status, { "content-type": type, "content-length": Buffer.byteLength(text) }).end(text);
}

/** No `errors` key unless there are some: Prefect's client stumbles over an empty one. */
function withWireErrors<Result extends Pick<ExecutionResult, "errors">>(
  result: Result,
  wireError: (error: unknown) => WireError,
): Result {
  return result.errors ? ({ ...result, errors: result.errors.map(wireError) } as unknown as Result) : result;
}

function contextOf(request: RequestHead, parts: ServerParts, caller: Caller): Omit<RequestContext, "variables"> {
  const agentId = headerOf(request, "x-prefect-agent-id") ?? null;
  const coreVersion = headerOf(request, "x-prefect-core-version") ?? null;
  const userId = caller.scope === "USER" ? caller.userId : null;
  return { parts, caller, tenantId: caller.tenantId, userId, agentId, coreVersion };
}

function headerOf(request: RequestHead, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function readQueryString(url: string): GraphqlParams | WireError {
  const search = new URLSearchParams(/\?(.*)/.exec(url)?.[1] ?? "");
  const query = search.get("query");
  if (query === null) return requestError("INPUT_INVALID", "This is a GraphQL API: POST a query.");
  return readParams(
    JSON.stringify({ query, operationName: search.get("operationName"), variables: search.get("variables") }),
  );
}
