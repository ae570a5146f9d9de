import type { ServerResponse } from "node:http";
import t from "tap";
import { openCloud } from "../../src/client/cloud-client.js";
import { toEndpoint } from "../../src/client/http.js";
import { isMillraceError, type MillraceError } from "../../src/core/errors.js";
import {
  type Answering,
  type AnsweringServer,
  answerError,
  startAnsweringServer,
} from "../helpers/answering-server.js";
import { eventually } from "../helpers/eventually.js";

async function cloudAt(
  t: Tap,
  answering: Answering,
  options: { tries?: number; timeoutMs?: number; fetch?: typeof fetch } = {},
) {
  const server = await startAnsweringServer(answering);
  const cloud = openCloud({ url: server.url, token: "t0ken", ...options });
  t.teardown(async () => {
    await cloud.close();
    await server.stop();
  });
  return { server, cloud };
}
type Tap = { teardown(fn: () => Promise<void>): void };

async function errorOf(promise: Promise<unknown>): Promise<MillraceError> {
  const error: unknown = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!isMillraceError(error)) throw new Error(`not an error of ours: ${String(error)}`);
  return error;
}

const fail = (status: number, body = "") => {
  return (_request: unknown, response: ServerResponse) => {
    response.statusCode = status;
    response.end(body);
  };
};

t.test("the API is /graphql below the address, whatever the address ends with", async (t) => {
  t.equal(toEndpoint("http://127.0.0.1:4200").href, "http://127.0.0.1:4200/graphql");
  t.equal(toEndpoint("https://example.com/millrace/").href, "https://example.com/millrace/graphql");
  t.equal(toEndpoint("https://example.com/graphql").href, "https://example.com/graphql");
});

t.test("requests carry the token, and one after the other they share their connections", async (t) => {
  const { server, cloud } = await cloudAt(t, () => ({ hello: "there" }));
  for (let i = 0; i < 50; i++) await cloud.hello();
  t.equal(server.received.length, 50);
  t.equal(server.received[0]?.headers.authorization, "Bearer t0ken");
  t.equal(server.received[0]?.path, "/graphql");
  // Two, since the next request may leave before undici has seen that the answer's connection is free.
  t.ok((await server.connections()) <= 2);
});

t.test("a fetch of the caller's own is used in place of our connections", async (t) => {
  const seen: string[] = [];
  const own: typeof fetch = (url, init) => {
    seen.push(String(url));
    return fetch(url, init);
  };
  const { server, cloud } = await cloudAt(t, () => ({ hello: "there" }), { fetch: own });
  await cloud.hello();
  t.same(seen, [`${server.url}/graphql`]);
});

for (const status of [500, 502, 503, 504]) {
  t.test(`a request that meets HTTP status ${status} is sent again`, async (t) => {
    let calls = 0;
    const { cloud } = await cloudAt(t, (request, response) => {
      calls += 1;
      return calls === 1 ? fail(status)(request, response) : { hello: "there" };
    });
    await cloud.hello();
    t.equal(calls, 2);
  });
}

t.test("a Cloud that keeps failing is unreachable, by its address and with what to do", async (t) => {
  const { server, cloud } = await cloudAt(t, fail(503), { tries: 2 });
  const error = await errorOf(cloud.hello());
  t.equal(error.code, "CLOUD_UNREACHABLE");
  t.match(error.message, server.url);
  t.match(error.message, "HTTP status 503");
  t.match(error.hint ?? "", "millrace server start");
  t.match(error.hint ?? "", "MILLRACE_API_URL");
  t.equal(server.received.length, 2);
});

t.test("a Cloud that is not there is unreachable, and the message says why", async (t) => {
  const gone = await startAnsweringServer(() => ({}));
  await gone.stop();
  const cloud = openCloud({ url: gone.url, tries: 1 });
  t.teardown(() => cloud.close());
  const error = await errorOf(cloud.hello());
  t.equal(error.code, "CLOUD_UNREACHABLE");
  t.match(error.message, "ECONNREFUSED");
});

t.test("a connection that breaks in the middle of an answer is made anew", async (t) => {
  let calls = 0;
  const { cloud } = await cloudAt(t, (_request, response) => {
    calls += 1;
    if (calls > 1) return { hello: "there" };
    response.writeHead(200, { "content-type": "application/json", "content-length": "100" });
    response.write('{"data":');
    response.socket?.destroy();
    return undefined;
  });
  await cloud.hello();
  t.equal(calls, 2);
});

for (const own of [undefined, fetch]) {
  const over = own ? "a fetch of the caller's own" : "our connections";
  t.test(`over ${over}, an answer that never comes is asked for again`, async (t) => {
    let calls = 0;
    const answering: Answering = () => {
      calls += 1;
      return calls === 1 ? undefined : { hello: "there" };
    };
    const { cloud } = await cloudAt(t, answering, { timeoutMs: 100, ...(own ? { fetch: own } : {}) });
    await cloud.hello();
    t.equal(calls, 2);
  });
}

t.test("a Cloud that takes requests and never answers is unreachable in the end", async (t) => {
  const { cloud } = await cloudAt(t, () => undefined, { timeoutMs: 100, tries: 2 });
  const error = await errorOf(cloud.hello());
  t.equal(error.code, "CLOUD_UNREACHABLE");
  t.match(error.message, /timeout/i);
});

t.test("a server that is stopped and started again is found by the same client", async (t) => {
  let server: AnsweringServer = await startAnsweringServer(() => ({ hello: "there" }));
  const { port } = new URL(server.url);
  const cloud = openCloud({ url: server.url });
  t.teardown(async () => {
    await cloud.close();
    await server.stop();
  });
  await cloud.hello();
  await server.stop();
  const waiting = cloud.hello();
  server = await startAnsweringServer(() => ({ hello: "again" }), Number(port));
  await waiting;
  t.equal(server.received.length, 1);
});

t.test("what is not safe to repeat is sent once when the answer was lost", async (t) => {
  const { server, cloud } = await cloudAt(t, fail(503));
  const error = await errorOf(cloud.createApiKey("ci"));
  t.equal(error.code, "CLOUD_UNREACHABLE");
  t.equal(server.received.length, 1);
});

t.test("closing the client ends the waiting for the next try", async (t) => {
  const gone = await startAnsweringServer(() => ({}));
  await gone.stop();
  const cloud = openCloud({ url: gone.url, tries: 1_000 });
  const waiting = errorOf(cloud.hello());
  await cloud.close();
  t.equal((await waiting).code, "CLOUD_UNREACHABLE");
  t.match((await errorOf(cloud.hello())).message, "closed");
});

const refusals: [title: string, answering: Answering, code: string, message: string | RegExp][] = [
  [
    "an unknown token",
    (_, r) => answerError(r, { message: "no", extensions: { code: "UNAUTHENTICATED" } }),
    "UNAUTHENTICATED",
    "no",
  ],
  ["HTTP status 401", fail(401), "UNAUTHENTICATED", "token"],
  ["HTTP status 401 with an error", (_, r) => answerError(r, { message: "no" }, 401), "UNAUTHENTICATED", "no"],
  ["HTTP status 403", fail(403), "CLOUD_REFUSED", "not allowed"],
  ["HTTP status 404", fail(404), "CLOUD_REFUSED", "no GraphQL API"],
  ["HTTP status 413", fail(413), "BODY_TOO_LARGE", "larger"],
  ["HTTP status 429", fail(429), "CLOUD_REFUSED", "too many requests"],
  ["a page that is not GraphQL", fail(200, "<html>"), "CLOUD_REFUSED", "not GraphQL"],
  ["an empty body", fail(200), "CLOUD_REFUSED", "not GraphQL"],
  ["a validation error", (_, r) => answerError(r, { message: "Cannot query" }, 400), "CLOUD_REFUSED", "Cannot query"],
  [
    "an unknown code",
    (_, r) => answerError(r, { message: "bad", extensions: { code: "ODD" } }),
    "CLOUD_REFUSED",
    "bad",
  ],
];
for (const [title, answering, code, message] of refusals) {
  t.test(`${title} is ${code}, and is not asked again`, async (t) => {
    const { server, cloud } = await cloudAt(t, answering);
    const error = await errorOf(cloud.hello());
    t.equal(error.code, code);
    t.match(error.message, message);
    t.equal(server.received.length, 1);
  });
}

t.test("a code of ours arrives with the Cloud's message, hint and details", async (t) => {
  const extensions = { code: "PROJECT_NOT_FOUND", hint: "create it", details: { name: "Sales" } };
  const { cloud } = await cloudAt(t, (_, response) => answerError(response, { message: 'no "Sales"', extensions }));
  const error = await errorOf(cloud.createProject("Sales"));
  t.match(error, { code: "PROJECT_NOT_FOUND", message: 'no "Sales"', hint: "create it", details: { name: "Sales" } });
});

t.test("closing gives every connection back", async (t) => {
  const server = await startAnsweringServer(() => ({ hello: "there" }));
  t.teardown(() => server.stop());
  const cloud = openCloud({ url: server.url });
  await Promise.all(Array.from({ length: 40 }, () => cloud.hello()));
  t.ok((await server.connections()) <= 16, "no more connections than the limit");
  await cloud.close();
  await eventually(async () => (await server.connections()) === 0);
});
