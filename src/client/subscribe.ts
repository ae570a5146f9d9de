import { type Client, createClient, type ExecutionResult } from "graphql-sse";
import type { AgentEvent } from "./cloud.js";
import { BadAnswer, badAnswer, mayRepeat, NoAnswer, toCloudError, type WireError } from "./cloud-error.js";
import { documents } from "./documents.js";
import type { Http } from "./http.js";
import { retryDelayMs, sleepUnlessAborted } from "./retry.js";
import type { Request, Transport } from "./transport.js";
import type * as wire from "./wire.js";

/** A connection that lasted so long was a good one: the next failure starts from the shortest wait again. */
export const SETTLED_AFTER_MS = 5_000;

export interface AgentSubscription {
  agentId: string;
  flowGroupId: string | undefined;
  signal: AbortSignal;
  /** The Cloud's address, for messages. */
  url: string;
}

/**
 * Events for one agent over server-sent events, for as long as the signal has not fired. Each new connection, the first
 * too, begins with an event that says "look for runs", because some may have been missed. Events that the reader has not
 * taken yet are merged into one, so a slow reader holds at most one.
 * @throws UNAUTHENTICATED, CLOUD_REFUSED: asking again would not help. Connections that fail or break are made anew.
 */
export async function* agentEvents(
  http: Http,
  subscription: AgentSubscription,
): AsyncGenerator<AgentEvent, void, undefined> {
  const signal = AbortSignal.any([subscription.signal, http.closed]);
  let failures = 0;
  while (!signal.aborted) {
    const connectedAt = performance.now();
    try {
      yield* oneConnection(http, subscription, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (!mayRepeat(error, true))
        throw toCloudError(error, { url: subscription.url, operation: documents.agentEvents.name });
    }
    failures = performance.now() - connectedAt > SETTLED_AFTER_MS ? 1 : failures + 1;
    await sleepUnlessAborted(retryDelayMs(failures), signal);
  }
}

async function* oneConnection(
  http: Http,
  subscription: AgentSubscription,
  signal: AbortSignal,
): AsyncGenerator<AgentEvent, void, undefined> {
  const { client, failure } = streamClient(http);
  let waiting: AgentEvent | undefined;
  let ended: { error?: unknown } | undefined;
  let wake = () => {};
  const add = (event: AgentEvent) => {
    waiting = waiting ? mergeEvents(waiting, event) : event;
    wake();
  };
  const end = (error?: unknown) => {
    ended ??= error === undefined ? {} : { error: failure() ?? error };
    wake();
  };
  const { agentId, flowGroupId } = subscription;
  const variables = { agent_id: agentId, ...(flowGroupId === undefined ? {} : { flow_group_id: flowGroupId }) };
  const stop = client.subscribe<{ agent_events: wire.AgentEvent }>(
    { query: documents.agentEvents.text, variables },
    { next: (result) => takeResult(result, add, end), error: end, complete: () => end() },
    { connected: () => add({ runDue: true, cancelling: [], granted: [] }) },
  );
  const aborted = () => end();
  signal.addEventListener("abort", aborted);
  try {
    for (;;) {
      if (waiting) {
        const event = waiting;
        waiting = undefined;
        yield event;
      } else if (ended) {
        if ("error" in ended) throw ended.error;
        return;
      } else {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    }
  } finally {
    signal.removeEventListener("abort", aborted);
    stop();
    client.dispose();
  }
}

function takeResult(
  result: ExecutionResult<{ agent_events: wire.AgentEvent }, unknown>,
  add: (event: AgentEvent) => void,
  end: (error: unknown) => void,
): void {
  const event = result.data?.agent_events;
  if (result.errors && result.errors.length > 0) end(new BadAnswer(200, result.errors as unknown as WireError[], ""));
  else if (event) add({ runDue: event.run_due, cancelling: event.cancelling, granted: event.granted });
}

function mergeEvents(first: AgentEvent, second: AgentEvent): AgentEvent {
  return {
    runDue: first.runDue || second.runDue,
    cancelling: [...new Set([...first.cancelling, ...second.cancelling])],
    granted: [...new Set([...first.granted, ...second.granted])],
  };
}

/** A graphql-sse client for one connection over our transport; `failure` is why its connection failed, in our words. */
function streamClient(http: Http): { client: Client; failure: () => NoAnswer | BadAnswer | undefined } {
  let failed: NoAnswer | BadAnswer | undefined;
  const fetchFn = async (_url: unknown, init: { body: string; signal: AbortSignal }) => {
    const request = { body: init.body, headers: { ...http.headers, accept: "text/event-stream" } };
    const stream = await openStream(http.transport, request, init.signal, (failure) => {
      failed = failure;
    });
    return { ok: true, status: 200, statusText: "", body: stream };
  };
  // The address is the transport's; graphql-sse wants one all the same.
  const client = createClient({ url: "", fetchFn, retryAttempts: 0 });
  return { client, failure: () => failed };
}

async function openStream(
  transport: Transport,
  request: Request,
  signal: AbortSignal,
  onFailure: (failure: NoAnswer | BadAnswer) => void,
): Promise<AsyncIterable<Uint8Array>> {
  const fail = (failure: NoAnswer | BadAnswer) => {
    onFailure(failure);
    return failure;
  };
  const answer = await transport.stream(request, signal).catch((cause: unknown) => {
    throw fail(new NoAnswer(cause));
  });
  const { body } = answer;
  if (!body) throw fail(badAnswer(answer.status, answer.text));
  return (async function* read() {
    try {
      yield* body;
    } catch (cause) {
      throw fail(new NoAnswer(cause));
    }
    throw fail(new NoAnswer(new Error("the subscription ended")));
  })();
}
