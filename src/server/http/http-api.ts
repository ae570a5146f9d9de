import type { IncomingMessage, ServerResponse } from "node:http";
import { isMillraceError } from "../../core/errors.js";
import type { GraphqlApi } from "../api/graphql-api.js";
import { isDatabaseFailure, toWireError, type WireError } from "../api/graphql-error.js";
import type { Operations } from "../operations/operations.js";
import type { ServerParts } from "../parts.js";
import { refuseContent } from "./content-type.js";
import { readBody } from "./request-body.js";
import type { RequestGate } from "./request-gate.js";

interface HttpParts {
  readonly api: GraphqlApi;
  readonly gate: RequestGate;
  readonly operations: Operations;
  readonly parts: Pick<ServerParts, "log">;
}

/** Which part of the server answers which path. */
export function makeRequestListener(http: HttpParts): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    route(http, request, response).catch((error) => answerError(error, request, response, http.parts));
  };
}

async function route(http: HttpParts, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { refusal, headers } = http.gate.check(request);
  for (const name in headers) response.setHeader(name, headers[name]!);
  if (refusal) return answerErrors(response, refusal.status, [toWireError(refusal.error, http.parts.log)]);
  const path = (request.url ?? "/").split("?")[0]!;
  const { method } = request;
  const answer = answerers[path];
  if (answer === undefined && (await http.operations.answer(path, request, response))) return;
  if (answer === undefined) return answerErrors(response, 404, [plainError(`There is nothing at ${shown(path)}.`)]);
  if (method === "OPTIONS") return answerPreflight(http.gate, request, response);
  if (method !== "POST" && method !== "GET") {
    response.setHeader("allow", "GET, POST, OPTIONS");
    return answerErrors(response, 405, [plainError(`${method} is not answered at ${shown(path)}.`)]);
  }
  const unread = method === "POST" ? refuseContent(request.headers) : undefined;
  if (unread) return answerErrors(response, 415, [unread]);
  return http.api[answer](request, response, () => readBody(request));
}

/** Prefect's client speaks to the root, people to /graphql. */
const answerers: Readonly<Record<string, "answer" | "stream">> = Object.assign(Object.create(null), {
  "/": "answer",
  "/graphql": "answer",
  "/graphql/": "answer",
  "/graphql/stream": "stream",
});

/** The gate has let the origin through; a browser then wants to know what it may send. */
function answerPreflight(gate: RequestGate, request: IncomingMessage, response: ServerResponse): void {
  response.setHeader("allow", "GET, POST, OPTIONS");
  const isPreflight = request.headers["access-control-request-method"] !== undefined;
  if (isPreflight && response.hasHeader("access-control-allow-origin")) {
    for (const [name, value] of Object.entries(gate.preflightHeaders())) response.setHeader(name, value);
  }
  response.writeHead(204).end();
}

const plainError = (message: string): WireError => ({ message, extensions: { code: "INPUT_INVALID" } });
const shown = (path: string): string => path.slice(0, 200);

function answerErrors(response: ServerResponse, status: number, errors: readonly WireError[]): void {
  const text = JSON.stringify({ errors });
  response
    .writeHead(status, { "content-type": "application/json; charset=utf-8", "content-length": Buffer.byteLength(text) })
    .end(text);
}

function answerError(
  error: unknown,
  request: IncomingMessage,
  response: ServerResponse,
  { log }: Pick<ServerParts, "log">,
): void {
  // A client that went away is told nothing.
  if (request.socket.destroyed) return;
  const wire = toWireError(error, log);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const unavailable = isDatabaseFailure(error);
  if (unavailable) response.setHeader("retry-after", 1);
  const status = unavailable ? 503 : isMillraceError(error, "BODY_TOO_LARGE") ? 413 : 500;
  answerErrors(response, status, [wire]);
}
