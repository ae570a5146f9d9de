import { badAnswer, mayRepeat, NoAnswer, toCloudError } from "./cloud-error.js";
import type { Operation } from "./documents.js";
import { DEFAULT_TRIES, withRetries } from "./retry.js";
import {
  type Answer,
  fetchTransport,
  openPoolTransport,
  REQUEST_TIMEOUT_MS,
  type Request,
  type Transport,
} from "./transport.js";

export interface HttpOptions {
  url: string;
  token: string | undefined;
  fetch: typeof fetch | undefined;
  tries: number | undefined;
  timeoutMs: number | undefined;
}

/** GraphQL over HTTP, with retries and with errors that say what to do. */
export interface Http {
  readonly transport: Transport;
  readonly headers: Record<string, string>;
  /** Fires when the client is closed. */
  readonly closed: AbortSignal;
  request<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables): Promise<Data>;
  close(): Promise<void>;
}

export function openHttp(options: HttpOptions): Http {
  const endpoint = toEndpoint(options.url);
  const timeoutMs = options.timeoutMs ?? REQUEST_TIMEOUT_MS;
  const transport = options.fetch
    ? fetchTransport(endpoint, timeoutMs, options.fetch)
    : openPoolTransport(endpoint, timeoutMs);
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/graphql-response+json, application/json",
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
  };
  const closing = new AbortController();
  const tries = options.tries ?? DEFAULT_TRIES;
  return {
    transport,
    headers,
    closed: closing.signal,
    async request<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables): Promise<Data> {
      const request = { body: JSON.stringify({ query: operation.text, variables }), headers };
      const send = () => sendOnce<Data>(transport, request);
      try {
        return await withRetries(send, {
          tries,
          signal: closing.signal,
          mayRepeat: (error) => mayRepeat(error, operation.repeatable),
        });
      } catch (error) {
        throw toCloudError(error, { url: options.url, operation: operation.name });
      }
    },
    async close() {
      closing.abort();
      await transport.close();
    },
  };
}

/** The API of a Cloud at `url`: its path is `/graphql` below the address. */
export function toEndpoint(url: string): URL {
  const endpoint = new URL(url);
  const base = endpoint.pathname.replace(/\/+$/, "");
  endpoint.pathname = base.endsWith("/graphql") ? base : `${base}/graphql`;
  return endpoint;
}

async function sendOnce<Data>(transport: Transport, request: Request): Promise<Data> {
  let answer: Answer;
  try {
    answer = await transport.post(request);
  } catch (cause) {
    throw new NoAnswer(cause);
  }
  return readAnswer(answer);
}

/** The data of an answer that is all right. @throws BadAnswer */
function readAnswer<Data>({ status, contentType, text }: Answer): Data {
  if (status >= 200 && status < 300 && contentType !== null && JSON_TYPE.test(contentType)) {
    let body: { data?: Data; errors?: unknown } | null = null;
    try {
      body = JSON.parse(text);
    } catch {
      // What came is told below.
    }
    if (body?.errors === undefined && typeof body?.data === "object" && body.data !== null) return body.data;
  }
  throw badAnswer(status, text);
}

const JSON_TYPE = /^application\/(graphql-response\+)?json\b/i;
