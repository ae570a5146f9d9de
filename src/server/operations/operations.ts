import type { IncomingMessage, ServerResponse } from "node:http";
import { isMillraceError } from "../../core/errors.js";
import type { Authenticator } from "../access/auth.js";
import type { ServerParts } from "../parts.js";
import { version } from "../version.js";
import { type Gauges, type Metrics, openMetrics } from "./metrics.js";
import { ReadinessProbe } from "./readiness.js";

/** What the server tells those who run it: that it lives, whether it is ready, and how it is doing. */
export interface Operations {
  /** Answers, if the path is one of theirs. */
  answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean>;
  /** From now on the server is not ready. */
  drain(): void;
  close(): Promise<void>;
}

interface OperationsOptions extends Gauges {
  parts: ServerParts;
  authenticator: Pick<Authenticator, "authenticate">;
  /** Answer `/metrics` without a token. */
  metricsPublic: boolean;
}

/** Load balancers ask often, and mean the answer of now. */
const HEADERS = { "cache-control": "no-store" };

export function makeOperations({ parts, authenticator, metricsPublic, ...gauges }: OperationsOptions): Operations {
  const readiness = new ReadinessProbe(parts, gauges.services);
  let metrics: Promise<Metrics> | undefined;

  async function answerMetrics(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const refused = metricsPublic ? undefined : await refuse(request);
    if (refused !== undefined) return answerJson(response, 401, { errors: [{ message: refused }] });
    metrics ??= openMetrics(parts, gauges);
    const { contentType, text } = await metrics;
    const body = await text();
    response.writeHead(200, { ...HEADERS, "content-type": contentType }).end(body);
  }

  async function refuse({ headers }: IncomingMessage): Promise<string | undefined> {
    try {
      await authenticator.authenticate(headers);
      return undefined;
    } catch (error) {
      if (isMillraceError(error, "DATABASE_FAILED") || !isMillraceError(error)) throw error;
      return error.message;
    }
  }

  return {
    async answer(path, request, response) {
      if (path !== "/health" && path !== "/ready" && path !== "/metrics") return false;
      if (request.method !== "GET" && request.method !== "HEAD") {
        response.setHeader("allow", "GET, HEAD");
        answerJson(response, 405, { errors: [{ message: `${request.method} is not answered at ${path}.` }] });
      } else if (path === "/health") answerJson(response, 200, { status: "ok", version });
      else if (path === "/ready") {
        const { ready, ...rest } = await readiness.look();
        answerJson(response, ready ? 200 : 503, rest);
      } else await answerMetrics(request, response);
      return true;
    },
    drain: () => {
      readiness.draining = true;
    },
    close: async () => {
      // What failed to open has nothing to close.
      (await metrics?.catch(() => undefined))?.close();
    },
  };
}

function answerJson(response: ServerResponse, status: number, value: unknown): void {
  const text = JSON.stringify(value);
  const headers = {
    ...HEADERS,
    "content-type": "application/json; charset=utf-8",
    "content-length": Buffer.byteLength(text),
  };
  response.writeHead(status, headers).end(text);
}
