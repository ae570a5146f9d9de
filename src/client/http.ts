import { ClientError, GraphQLClient } from "graphql-request";
import { badAnswer, mayRepeat, NoAnswer, toCloudError } from "./cloud-error.js";
import type { Operation } from "./documents.js";
import { frameTransport } from "./frame-transport.js";
import { DEFAULT_TRIES, withRetries } from "./retry.js";
import { type Answer, fetchTransport, openPoolTransport, REQUEST_TIMEOUT_MS, type Transport } from "./transport.js";

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
    : frameTransport(openPoolTransport(endpoint, timeoutMs), endpoint, timeoutMs);
  const headers: Record<string, string> = {
    "content-type": "application/json",
    accept: "application/graphql-response+json, application/json",
    ...(options.token === undefined ? {} : { authorization: `Bearer ${options.token}` }),
  };
  const client = new GraphQLClient(endpoint.href, {
    // With it, graphql-request parses every document anew; all of ours hold one operation, which needs no naming.
    excludeOperationName: true,
    fetch: fetchOver(transport, headers),
  });
  const closing = new AbortController();
  const tries = options.tries ?? DEFAULT_TRIES;
  return {
    transport,
    headers,
    closed: closing.signal,
    async request<Data, Variables>(operation: Operation<Data, Variables>, variables: Variables): Promise<Data> {
      const send = () => sendOnce<Data>(client, operation.text, variables as Record<string, unknown>);
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

async function sendOnce<Data>(
  client: GraphQLClient,
  document: string,
  variables: Record<string, unknown>,
): Promise<Data> {
  try {
    return await client.request<Data>(document, variables);
  } catch (error) {
    if (error instanceof NoAnswer) throw error;
    // A ClientError carries the body; anything else is a success whose body is no GraphQL answer.
    if (!(error instanceof ClientError)) throw badAnswer(200, error instanceof Error ? error.message : String(error));
    throw badAnswer(error.response.status, String((error.response as { body?: unknown }).body ?? ""));
  }
}

/** The `fetch` that graphql-request calls: only what it reads of an answer, over our own connections. */
function fetchOver(transport: Transport, headers: Record<string, string>): typeof fetch {
  return async (_url, init) => {
    let answer: Answer;
    try {
      answer = await transport.post({ body: init?.body as string, headers });
    } catch (cause) {
      throw new NoAnswer(cause);
    }
    const reply = {
      ok: answer.status >= 200 && answer.status < 300,
      status: answer.status,
      headers: { get: (name: string) => (name.toLowerCase() === "content-type" ? answer.contentType : null) },
      text: () => Promise.resolve(answer.text),
    };
    return reply as unknown as Response;
  };
}
