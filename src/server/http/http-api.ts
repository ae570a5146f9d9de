import type { IncomingMessage, ServerResponse } from "node:http";
import { isMillraceError } from "../../core/errors.js";
import type { GraphqlApi } from "../api/graphql-api.js";
import { toWireError } from "../api/graphql-error.js";
import type { ServerParts } from "../parts.js";
import { version } from "../version.js";
import { readBody } from "./request-body.js";

/** Which part of the server answers which path. */
export function makeRequestListener(
  api: GraphqlApi,
  parts: ServerParts,
): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    route(api, request, response).catch((error) => answerError(error, request, response, parts));
  };
}

async function route(api: GraphqlApi, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const path = (request.url ?? "/").split("?")[0];
  if (path === "/health") return answerJson(response, 200, { status: "ok", version });
  const answer = answerers[path ?? ""];
  if (!answer) return answerJson(response, 404, { errors: [{ message: `There is nothing at ${path}.` }] });
  if (request.method !== "POST" && request.method !== "GET") {
    response.setHeader("allow", "GET, POST");
    return answerJson(response, 405, { errors: [{ message: `${request.method} is not answered at ${path}.` }] });
  }
  return api[answer](request, response, await readBody(request));
}

/** Prefect's client speaks to the root, people to /graphql. */
const answerers: Record<string, "answer" | "stream"> = {
  "/": "answer",
  "/graphql": "answer",
  "/graphql/": "answer",
  "/graphql/stream": "stream",
};

function answerJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  response
    .writeHead(status, { "content-type": "application/json; charset=utf-8", "content-length": Buffer.byteLength(text) })
    .end(text);
}

function answerError(error: unknown, request: IncomingMessage, response: ServerResponse, parts: ServerParts): void {
  // A client that went away is told nothing.
  if (request.socket.destroyed) return;
  const wire = toWireError(error, parts.log);
  if (response.headersSent) {
    response.destroy();
    return;
  }
  answerJson(response, isMillraceError(error, "BODY_TOO_LARGE") ? 413 : 500, { errors: [wire] });
}
