import type { IncomingMessage, ServerResponse } from "node:http";
import { type ExecutionArgs, type ExecutionResult, type GraphQLSchema, getOperationAST } from "graphql";
import { createHandler as createHttpHandler, type Response } from "graphql-http";
import { createHandler as createSseHandler } from "graphql-sse";
import type { Authenticator } from "./auth.js";
import { DocumentCache } from "./document-cache.js";
import { requestError, toWireError, type WireError } from "./graphql-error.js";
import { type GraphqlParams, readParams } from "./graphql-params.js";
import type { RequestContext, ServerParts } from "./parts.js";

/** Answers GraphQL over HTTP, and subscriptions as server-sent events. */
export interface GraphqlApi {
  answer(request: IncomingMessage, response: ServerResponse, body: string): Promise<void>;
  stream(request: IncomingMessage, response: ServerResponse, body: string): Promise<void>;
}

interface Incoming {
  request: IncomingMessage;
  body: string;
}

export function makeGraphqlApi(schema: GraphQLSchema, parts: ServerParts, authenticator: Authenticator): GraphqlApi {
  const documents = new DocumentCache(schema);
  const wireError = (error: unknown) => toWireError(error, parts.log);

  /** The operation to execute, or the errors to answer with and the HTTP status to do it with. */
  async function prepare({ request, body }: Incoming): Promise<PreparedArgs | Refusal> {
    let context: Omit<RequestContext, "variables">;
    try {
      context = await contextOf(request, parts, authenticator);
    } catch (error) {
      return { status: 200, errors: [wireError(error)] };
    }
    const params = request.method === "GET" ? readQueryString(request.url ?? "") : readParams(body);
    if ("message" in params) return { status: 400, errors: [params] };
    const checked = documents.get(params.query);
    if (checked.errors) {
      const errors = checked.errors.map((error) => ({ ...wireError(error), extensions: { code: checked.code } }));
      return { status: 400, errors };
    }
    const { variables, operationName } = params;
    if (!getOperationAST(checked.document, operationName)) {
      const message =
        operationName === null
          ? "The document has several operations."
          : `The document has no operation "${operationName}".`;
      return { status: 400, errors: [requestError("GRAPHQL_VALIDATION_FAILED", message)] };
    }
    const contextValue: RequestContext = { ...context, variables };
    return { schema, document: checked.document, operationName, variableValues: variables, contextValue };
  }

  const http = createHttpHandler<Incoming, undefined, ContextValue>({
    // The body is read in `onSubscribe`, which says more about it than graphql-http would.
    parseRequestParams: () => ({ query: "" }),
    onSubscribe: async (request) => {
      const prepared = await prepare(request.raw);
      return "status" in prepared
        ? toResponse(request.raw.request, prepared.status, { errors: prepared.errors })
        : prepared;
    },
    onOperation: (request, _args, result) => toResponse(request.raw.request, 200, withWireErrors(result, wireError)),
  });
  const sse = createSseHandler<Incoming, undefined, ContextValue>({
    // Without stream tokens only single connections are left: each carries one operation.
    authenticate: () => null,
    onSubscribe: async (request) => {
      const prepared = await prepare(request.raw);
      if (!("status" in prepared)) return prepared;
      const status = prepared.errors[0]?.extensions.code === "UNAUTHENTICATED" ? 401 : 400;
      const headers = { "content-type": JSON_TYPE };
      return [JSON.stringify({ errors: prepared.errors }), { status, statusText: "", headers }];
    },
    onNext: (_context, _request, result) => withWireErrors(result, wireError),
  });

  return {
    async answer(request, response, body) {
      const { method = "GET", url = "/" } = request;
      const [text, init] = await http({
        method,
        url,
        headers: request.headers as Record<string, string>,
        body,
        raw: { request, body },
        context: undefined,
      });
      response.writeHead(init.status, { ...init.headers, "content-length": Buffer.byteLength(text ?? "") }).end(text);
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
type PreparedArgs = ExecutionArgs & { contextValue: ContextValue };

interface Refusal {
  status: number;
  errors: WireError[];
}

const JSON_TYPE = "application/json; charset=utf-8";

function toResponse(request: IncomingMessage, status: number, result: unknown): Response {
  const wantsGraphql = request.headers.accept?.includes("application/graphql-response+json");
  const type = wantsGraphql ? "application/graphql-response+json; charset=utf-8" : JSON_TYPE;
  return [JSON.stringify(result), { status, statusText: "", headers: { "content-type": type } }];
}

/** No `errors` key unless there are some: Prefect's client stumbles over an empty one. */
function withWireErrors<Result extends Pick<ExecutionResult, "errors">>(
  result: Result,
  wireError: (error: unknown) => WireError,
): Result {
  return result.errors ? ({ ...result, errors: result.errors.map(wireError) } as unknown as Result) : result;
}

async function contextOf(
  request: IncomingMessage,
  parts: ServerParts,
  authenticator: Authenticator,
): Promise<Omit<RequestContext, "variables">> {
  const caller = await authenticator.authenticate(request.headers.authorization);
  const agentId = headerOf(request, "x-prefect-agent-id") ?? null;
  const coreVersion = headerOf(request, "x-prefect-core-version") ?? null;
  return { parts, caller, tenantId: caller.tenantId, agentId, coreVersion };
}

function headerOf(request: IncomingMessage, name: string): string | undefined {
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
