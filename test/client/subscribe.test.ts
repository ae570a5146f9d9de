import type { ServerResponse } from "node:http";
import t from "tap";
import type { AgentEvent, Cloud } from "../../src/client/cloud.js";
import { openCloud } from "../../src/client/cloud-client.js";
import { type Answering, answerError, startAnsweringServer } from "../helpers/answering-server.js";
import { eventually } from "../helpers/eventually.js";

const AGENT_ID = "0193a000-0000-7000-8000-000000000001";

/** A server whose subscriptions the test holds in its hands. */
async function streamingCloud(t: Tap) {
  const streams: ServerResponse[] = [];
  const opened = await startAnsweringServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(":\n\n");
    streams.push(response);
    return undefined;
  });
  const cloud = openCloud({ url: opened.url, token: "t0ken" });
  t.teardown(async () => {
    await cloud.close();
    await opened.stop();
  });
  return { server: opened, streams, cloud };
}
type Tap = { teardown(fn: () => Promise<void>): void };

function send(stream: ServerResponse | undefined, runDue: boolean, cancelling: string[] = []): void {
  const data = { data: { agent_events: { run_due: runDue, cancelling } } };
  stream?.write(`event: next\ndata: ${JSON.stringify(data)}\n\n`);
}

/** Reads events until the signal fires. */
function collect(cloud: Cloud, signal: AbortSignal) {
  const events: AgentEvent[] = [];
  const ended = (async () => {
    for await (const event of cloud.agentEvents(AGENT_ID, undefined, signal)) events.push(event);
  })();
  return { events, ended };
}

t.test("a connection begins with an event, and the Cloud's events follow", async (t) => {
  const { server, streams, cloud } = await streamingCloud(t);
  const stop = new AbortController();
  const { events, ended } = collect(cloud, stop.signal);
  await eventually(() => events.length === 1);
  t.same(events[0], { runDue: true, cancelling: [], granted: [] });
  t.same(server.received[0]?.variables, { agent_id: AGENT_ID });
  t.equal(server.received[0]?.path, "/graphql/stream");
  t.equal(server.received[0]?.headers.accept, "text/event-stream");
  t.equal(server.received[0]?.headers.authorization, "Bearer t0ken");
  send(streams[0], false, ["run-1"]);
  await eventually(() => events.length === 2);
  t.same(events[1], { runDue: false, cancelling: ["run-1"] });
  stop.abort();
  await ended;
  await eventually(async () => (await server.connections()) === 0, { message: "the stream's connection to be closed" });
});

t.test("a connection that breaks is made anew, with an event", async (t) => {
  const { streams, cloud } = await streamingCloud(t);
  const stop = new AbortController();
  const { events, ended } = collect(cloud, stop.signal);
  await eventually(() => events.length === 1);
  streams[0]?.socket?.destroy();
  await eventually(() => events.length === 2);
  t.same(events[1], { runDue: true, cancelling: [], granted: [] });
  send(streams[1], true);
  await eventually(() => events.length === 3);
  stop.abort();
  await ended;
});

t.test("a subscription that the Cloud ends politely is made anew", async (t) => {
  const { streams, cloud } = await streamingCloud(t);
  const stop = new AbortController();
  const { events, ended } = collect(cloud, stop.signal);
  await eventually(() => events.length === 1);
  streams[0]?.end("event: complete\ndata: \n\n");
  await eventually(() => events.length === 2);
  stop.abort();
  await ended;
  t.equal(streams.length, 2);
});

t.test("a Cloud that was away for a while is found again", async (t) => {
  const first = await streamingCloud(t);
  const stop = new AbortController();
  const { events, ended } = collect(first.cloud, stop.signal);
  await eventually(() => events.length === 1);
  await first.server.stop();
  const again = await startAnsweringServer(
    (_request, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.flushHeaders();
      return undefined;
    },
    Number(new URL(first.server.url).port),
  );
  t.teardown(() => again.stop());
  await eventually(() => events.length === 2);
  stop.abort();
  await ended;
});

t.test("events that wait for a slow reader are merged into one", async (t) => {
  const { streams, cloud } = await streamingCloud(t);
  const stop = new AbortController();
  const reader = cloud.agentEvents(AGENT_ID, undefined, stop.signal)[Symbol.asyncIterator]();
  await reader.next();
  send(streams[0], false, ["a", "b"]);
  send(streams[0], true);
  send(streams[0], false, ["b", "c"]);
  // A message that is read later than the three: its arrival shows that they are all there.
  const sentinel = openCloud({ url: cloud.url });
  await sentinel.close();
  const merged: AgentEvent = { runDue: false, cancelling: [], granted: [] };
  while (!(merged.runDue && merged.cancelling.includes("c"))) {
    const { value } = await reader.next();
    merged.runDue ||= (value as AgentEvent).runDue;
    merged.cancelling.push(...(value as AgentEvent).cancelling);
  }
  t.ok(merged.cancelling.includes("a"));
  stop.abort();
  t.equal((await reader.next()).done, true);
});

t.test("a reader that stops early closes the connection", async (t) => {
  const { server, cloud } = await streamingCloud(t);
  for await (const _event of cloud.agentEvents(AGENT_ID, "group-1", new AbortController().signal)) break;
  await eventually(async () => (await server.connections()) === 0);
  t.same(server.received[0]?.variables, { agent_id: AGENT_ID, flow_group_id: "group-1" });
});

t.test("closing the client ends its subscriptions", async (t) => {
  const { cloud } = await streamingCloud(t);
  const { events, ended } = collect(cloud, new AbortController().signal);
  await eventually(() => events.length === 1);
  await cloud.close();
  await ended;
});

t.test("no subscription is made under a signal that has fired", async (t) => {
  const { server, cloud } = await streamingCloud(t);
  const { events, ended } = collect(cloud, AbortSignal.abort());
  await ended;
  t.same(events, []);
  t.equal(server.received.length, 0);
});

const unauthenticated = { message: "no", extensions: { code: "UNAUTHENTICATED" } };
const refusing: [title: string, answering: Answering, code: string][] = [
  ["with status 401", (_, response) => answerError(response, unauthenticated, 401), "UNAUTHENTICATED"],
  [
    "inside the stream",
    (_, response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write(`event: next\ndata: ${JSON.stringify({ errors: [unauthenticated] })}\n\n`);
      return undefined;
    },
    "UNAUTHENTICATED",
  ],
  ["as something unknown", (_, response) => answerError(response, { message: "no such field" }, 400), "CLOUD_REFUSED"],
];
for (const [title, answering, code] of refusing) {
  t.test(`a subscription that is refused ${title} ends with ${code}`, async (t) => {
    const server = await startAnsweringServer(answering);
    const cloud = openCloud({ url: server.url });
    t.teardown(async () => {
      await cloud.close();
      await server.stop();
    });
    const { ended } = collect(cloud, new AbortController().signal);
    await t.rejects(ended, { code });
  });
}
