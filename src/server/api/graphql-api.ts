import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import { type ExecutionArgs, type ExecutionResult, execute, type GraphQLSchema, OperationTypeNode } from "graphql";
import { createHandler as createSseHandler } from "graphql-sse";
import type { Authenticator } from "../access/auth.js";
import type { Caller, RequestContext, ServerParts } from "../parts.js";
import { type CheckedOperation, DocumentCache } from "./document-cache.js";
import { requestError, toWireError, type WireError } from "./graphql-error.js";
import { type GraphqlParams, readParams } from "./graphql-params.js";

/** What a call on an open connection is answered with: what an HTTP answer would have as status and body. */
export interface CallAnswer {
  status: number;
  text: string;
}

/** Answers GraphQL over HTTP and over open connections, and subscriptions as server-sent events. */
export interface GraphqlApi {
  /** Of a body that would be POSTed; the headers are those under which the connection was opened. */
  call(headers: IncomingHttpHeaders, body: string): Promise<CallAnswer>;
  /** May these headers open a connection? Resolves with why not, or undefined. */
  refuseConnection(headers: IncomingHttpHeaders): Promise<CallAnswer | undefined>;
  answer(request: IncomingMessage, response: ServerResponse, body: string): Promise<void>;
  stream(request: IncomingMessage, response: ServerResponse, body: string): Promise<void>;
}

/** What is looked at of a request besides its body. */
type RequestHead = Pick<IncomingMessage, "method" | "url" | "headers">;

interface Incoming {
  request: RequestHead;
  body: string;
}

export function makeGraphqlApi(schema: GraphQLSchema, parts: ServerParts, authenticator: Authenticator): GraphqlApi {
  const documents = new DocumentCache(schema);
  const wireError = (error: unknown) => toWireError(error, parts.log);

  async function authenticate(headers: IncomingHttpHeaders): Promise<Caller | Refusal> {
    try {
      return await authenticator.authenticate(headers);
    } catch (error) {
      return { status: 200, errors: [wireError(error)] };
    }
  }

  /** The operation to execute, or the errors to answer with and the HTTP status to do it with. */
  async function prepare({ request, body }: Incoming): Promise<Prepared | Refusal> {
    const caller = await authenticate(request.headers);
    if ("status" in caller) return caller;
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
    return { kind: operation.kind, args };
  }

  const sse = createSseHandler<Incoming, undefined, ContextValue>({
    // Without stream tokens only single connections are left: each carries one operation.
    authenticate: () => null,
    // The document cache has.
    validate: () => [],
    onSubscribe: async (request) => {
      const prepared = await prepare(request.raw);
      if (!("status" in prepared)) return prepared.args;
      const status = prepared.errors[0]?.extensions.code === "UNAUTHENTICATED" ? 401 : 400;
      const headers = { "content-type": JSON_TYPE };
      return [JSON.stringify({ errors: prepared.errors }), { status, statusText: "", headers }];
    },
    onNext: (_context, _request, result) => withWireErrors(result, wireError),
  });

  async function answerTo(incoming: Incoming): Promise<CallAnswer> {
    const prepared = await prepare(incoming);
    const refusal = "status" in prepared ? prepared : refuseKind(prepared.kind, incoming.request.method);
    if (refusal) return { status: refusal.status, text: JSON.stringify({ errors: refusal.errors }) };
    const result = execute((prepared as Prepared).args);
    const whole = result instanceof Promise ? await result : (result as ExecutionResult);
    return { status: 200, text: JSON.stringify(withWireErrors(whole, wireError)) };
  }

  return {
    async answer(request, response, body) {
      const { status, text } = await answerTo({ request, body });
      if (status === 405) response.setHeader("allow", "POST");
      answerJson(request, response, status, text);
    },
    call: (headers, body) => answerTo({ request: { method: "POST", url: "/graphql", headers }, body }),
    async refuseConnection(headers) {
      const caller = await authenticate(headers);
      return "status" in caller ? { status: 401, text: JSON.stringify({ errors: caller.errors }) } : undefined;
    },
    async stream(request, response, body) {
      const { method = "GET", url = "/" } = request;
      const headers = { get: (name: string) => headerOf(request, name) };
      const [events, init] = await sse({ method, url, headers, body, raw: { request, body }, context: undefined });
      response.writeHead(init.status, init.headers);
      if (events === null || events === undefined || typeof events === "string") {
        response.end(events ?? undefined);
        return;
      }
      await pipe(events, response);
    },
  };
}

/** The request's context as the libraries' types want it: an interface is not a record to them, a type is. */
type ContextValue = Pick<RequestContext, keyof RequestContext>;

interface Prepared {
  kind: OperationTypeNode;
  args: ExecutionArgs & { contextValue: ContextValue };
}

interface Refusal {
  status: number;
  errors: WireError[];
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
  const search = new URLSearchParams(url.split("?")[1] ?? "");
  const query = search.get("query");
  if (query === null) return requestError("INPUT_INVALID", "This is a GraphQL API: POST a query.");
  return readParams(
    JSON.stringify({ query, operationName: search.get("operationName"), variables: search.get("variables") }),
  );
}

/** Writes events as they come, until they end or the client is gone. */
async function pipe(events: AsyncGenerator<string, void, undefined>, response: ServerResponse): Promise<void> {
  const gone = () => void events.return(undefined);
  response.once("close", gone);
  response.flushHeaders();
  for await (const event of events) {
    if (!response.writable) break;
    if (!response.write(event)) {
      await new Promise<void>((resolve) => {
        response.once("drain", resolve);
        response.once("close", resolve);
      });
    }
  }
  response.off("close", gone);
  response.end();
}
