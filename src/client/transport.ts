import { type Dispatcher, Pool } from "undici";

/**
 * Connections at once. Reports are merged into one request at a time, so an agent uses three or four; a server behind many
 * clients is spared the rest.
 */
const MAX_CONNECTIONS = 16;
/** The Cloud's protocol gives a request this long; Prefect's client has the same limit. */
export const REQUEST_TIMEOUT_MS = 15_000;
const CONNECT_TIMEOUT_MS = 5_000;
/** The Cloud sends a sign of life every 12 s on an open subscription; three missed ones mean that nobody is there. */
const STREAM_SILENCE_MS = 40_000;

/** A whole answer of the Cloud. */
export interface Answer {
  status: number;
  contentType: string | null;
  text: string;
}

/** An answer that goes on: the body of a subscription. */
export interface StreamAnswer {
  status: number;
  /** Undefined when the status is not a success; `text` has the body then. */
  body: AsyncIterable<Uint8Array> | undefined;
  text: string;
}

export interface Request {
  body: string;
  headers: Record<string, string>;
}

/** How bytes reach the Cloud and come back. Rejects when no whole answer came. */
export interface Transport {
  post(request: Request): Promise<Answer>;
  /** Ends, with an error from the body, when the signal fires or the Cloud is silent for too long. */
  stream(request: Request, signal: AbortSignal): Promise<StreamAnswer>;
  close(): Promise<void>;
}

/**
 * Keep-alive connections of our own, and undici's `dispatch` for requests: a round trip of a small query on loopback takes
 * 563 µs with fetch(), which makes a Request, a Response and web streams, 345 with `request`, which makes a stream, and
 * some 25 less with `dispatch`.
 */
export function openPoolTransport(endpoint: URL, timeoutMs: number): Transport {
  const pool = new Pool(endpoint.origin, {
    connections: MAX_CONNECTIONS,
    connect: { timeout: CONNECT_TIMEOUT_MS },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  let closed: Promise<void> | undefined;
  const path = endpoint.pathname;
  return {
    post: ({ body, headers }) =>
      new Promise((resolve, reject) => {
        pool.dispatch({ method: "POST", path, headers, body }, wholeAnswer(resolve, reject));
      }),
    async stream({ body, headers }, signal) {
      const { pathname } = streamEndpoint(endpoint);
      const timeout = { bodyTimeout: STREAM_SILENCE_MS };
      const answer = await pool.request({ method: "POST", path: pathname, headers, body, signal, ...timeout });
      if (answer.statusCode < 200 || answer.statusCode >= 300) {
        return { status: answer.statusCode, body: undefined, text: await answer.body.text() };
      }
      return { status: answer.statusCode, body: answer.body as AsyncIterable<Uint8Array>, text: "" };
    },
    // undici refuses to be closed twice.
    close: () => {
      closed ??= pool.close();
      return closed;
    },
  };
}

/** The same over a `fetch` that the caller brings, for instance one that goes through a proxy. */
export function fetchTransport(
  endpoint: URL,
  timeoutMs: number,
  fetch: typeof globalThis.fetch,
  silenceMs: number = STREAM_SILENCE_MS,
): Transport {
  return {
    async post({ body, headers }) {
      const answer = await fetch(endpoint, {
        method: "POST",
        headers,
        body,
        signal: AbortSignal.timeout(timeoutMs),
      });
      return { status: answer.status, contentType: answer.headers.get("content-type"), text: await answer.text() };
    },
    async stream({ body, headers }, signal) {
      const silence = watchSilence();
      silence.allow(timeoutMs);
      try {
        const either = AbortSignal.any([signal, silence.signal]);
        const answer = await fetch(streamEndpoint(endpoint), { method: "POST", headers, body, signal: either });
        if (!answer.ok || answer.body === null)
          return { status: answer.status, body: undefined, text: await answer.text() };
        const chunks = answer.body as unknown as AsyncIterable<Uint8Array>;
        return { status: answer.status, body: untilSilent(chunks, silence, silenceMs), text: "" };
      } finally {
        silence.end();
      }
    },
    close: async () => {},
  };
}

/** Fires its signal when nothing was heard for as long as was allowed last. */
interface Silence {
  readonly signal: AbortSignal;
  allow(ms: number): void;
  end(): void;
}

function watchSilence(): Silence {
  const controller = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const end = () => clearTimeout(timer);
  const allow = (ms: number) => {
    end();
    timer = setTimeout(() => controller.abort(new Error(`nothing was heard for ${ms} ms`)), ms);
  };
  return { signal: controller.signal, allow, end };
}

async function* untilSilent(
  chunks: AsyncIterable<Uint8Array>,
  silence: Silence,
  silenceMs: number,
): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    silence.allow(silenceMs);
    for await (const chunk of chunks) {
      // What the reader does with a chunk is no silence of the Cloud.
      silence.end();
      yield chunk;
      silence.allow(silenceMs);
    }
  } finally {
    silence.end();
  }
}

/** Subscriptions have a path of their own below the API's. */
function streamEndpoint(endpoint: URL): URL {
  const stream = new URL(endpoint);
  stream.pathname = `${endpoint.pathname}/stream`;
  return stream;
}

/** Gathers one answer; of several heads the last one counts, since those before it only announce it (HTTP status 1xx). */
function wholeAnswer(resolve: (answer: Answer) => void, reject: (error: Error) => void): Dispatcher.DispatchHandler {
  const chunks: Buffer[] = [];
  let status = 0;
  let contentType: string | null = null;
  return {
    // undici knows by it that the handler is of its present kind.
    onRequestStart() {},
    onResponseStart(_controller, statusCode, headers) {
      status = statusCode;
      const value = headers["content-type"];
      contentType = (Array.isArray(value) ? value[0] : value) ?? null;
    },
    onResponseData(_controller, chunk) {
      chunks.push(chunk);
    },
    onResponseEnd() {
      const text = (chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)).toString("utf8");
      resolve({ status, contentType, text });
    },
    onResponseError(_controller, error) {
      reject(error);
    },
  };
}
