import { once } from "node:events";
import { connect } from "node:net";
import { gzipSync } from "node:zlib";
import t from "tap";
import { FailedLogins } from "../../src/server/access/failed-logins.js";
import { eventually } from "../helpers/eventually.js";
import { rawHttp, rawRequest } from "../helpers/raw-http.js";
import { startTestCloud } from "../helpers/server.js";

const cloud = await startTestCloud(t, {
  allowHosts: ["Cloud.Example.com"],
  allowOrigins: ["https://dash.example.com", "http://localhost:3000/"],
});
const { port } = cloud.server;
const json = { "content-type": "application/json", authorization: `Bearer ${cloud.token}` };
const hello = '{"query":"{ hello }"}';
const post = (headers: Record<string, string>, body = hello, path = "/") =>
  rawRequest(port, `POST ${path}`, { ...json, ...headers }, body);

t.test("a name that is not the Cloud's is refused on every path: a page may let its own name point here", async (t) => {
  const refused = [
    "evil.example",
    "evil.example:4200",
    "localhost.evil.example",
    "127.0.0.1.evil.example",
    "",
    "a b",
    "[::1",
  ];
  for (const host of refused) {
    for (const path of ["/", "/graphql", "/graphql/stream", "/health", "/nowhere"]) {
      const { status, body } = await post({ host }, hello, path);
      t.ok(status === 403 || status === 400, `${host} ${path}: ${status}`);
      if (status === 403) t.match(JSON.parse(body), { errors: [{ extensions: { code: "HOST_NOT_ALLOWED" } }] });
    }
  }
  const taken = [
    "localhost",
    `localhost:${port}`,
    "LOCALHOST",
    "app.localhost",
    "127.0.0.1",
    `[::1]:${port}`,
    "10.1.2.3:80",
  ];
  for (const host of [...taken, "cloud.example.com", "CLOUD.example.com:443"]) {
    t.equal((await post({ host })).status, 200, host);
  }
});

t.test("the host is looked at before a connection is opened, too", async (t) => {
  const headers = { connection: "Upgrade", upgrade: "millrace-frames-1", authorization: json.authorization };
  const wrongs: Record<string, string>[] = [{ host: "evil.example" }, { origin: "https://evil.example" }];
  for (const wrong of wrongs) {
    const { status, body } = await rawRequest(port, "GET /graphql/connection", { ...headers, ...wrong });
    t.equal(status, 403, body);
  }
  const { status } = await rawHttp(
    port,
    `GET /graphql/connection HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\nupgrade: millrace-frames-1\r\nauthorization: ${json.authorization}\r\n\r\n`,
    /\r\n\r\n/,
  );
  t.equal(status, 101);
});

t.test("a page of another site gets nothing, and one of an allowed site may read its answer", async (t) => {
  for (const origin of [
    "https://evil.example",
    "null",
    "https://dash.example.com.evil.example",
    "http://dash.example.com",
  ]) {
    const { status, headers, body } = await post({ origin });
    t.equal(status, 403, origin);
    t.match(JSON.parse(body), { errors: [{ extensions: { code: "ORIGIN_NOT_ALLOWED" } }] });
    t.notOk(headers["access-control-allow-origin"]);
  }
  for (const origin of ["https://dash.example.com", "http://localhost:3000"]) {
    const { status, headers } = await post({ origin });
    t.equal(status, 200);
    t.match(headers, { "access-control-allow-origin": origin, vary: "Origin" });
    t.notOk(headers["access-control-allow-credentials"]);
  }
  const own = await post({ origin: `http://127.0.0.1:${port}` });
  t.equal(own.status, 200, "its own pages ask as they like");
  t.notOk(own.headers["access-control-allow-origin"]);
});

t.test("a browser that asks beforehand is told what an allowed site may send", async (t) => {
  const asked = { "access-control-request-method": "POST", "access-control-request-headers": "authorization" };
  const origin = "https://dash.example.com";
  const { status, headers } = await rawRequest(port, "OPTIONS /graphql", { origin, ...asked });
  t.equal(status, 204);
  t.match(headers, {
    "access-control-allow-origin": origin,
    "access-control-allow-methods": "GET, POST",
    "access-control-allow-headers": /authorization, content-type/,
  });
  const stranger = await rawRequest(port, "OPTIONS /graphql", { origin: "https://evil.example", ...asked });
  t.equal(stranger.status, 403);
  t.notOk(Object.keys(stranger.headers).some((name) => name.startsWith("access-control")));
  const plain = await rawRequest(port, "OPTIONS /", {});
  t.equal(plain.status, 204);
  t.equal(plain.headers.allow, "GET, POST, OPTIONS");
});

t.test("what a page could send without being asked is refused with 415: forms, texts, packed bodies", async (t) => {
  const types = [
    "text/plain",
    "application/x-www-form-urlencoded",
    "multipart/form-data; boundary=x",
    "application/json; charset=latin1",
    "application/jsonx",
    "text/plain; application/json",
    "",
  ];
  for (const path of ["/", "/graphql", "/graphql/stream"]) {
    for (const type of types)
      t.equal((await post({ "content-type": type }, hello, path)).status, 415, `${path} ${type}`);
  }
  const good = [
    "application/json; charset=utf-8",
    "Application/JSON;charset=UTF-8",
    "application/graphql-response+json",
  ];
  for (const type of good) t.equal((await post({ "content-type": type })).status, 200, type);
  const packed = gzipSync(hello);
  const answer = await fetch(cloud.url, {
    method: "POST",
    headers: { ...json, "content-encoding": "gzip" },
    body: packed,
  });
  t.equal(answer.status, 415);
  t.equal((await post({ "content-encoding": "identity" })).status, 200);
});

t.test("nothing but health answers without a token, introspection least of all", async (t) => {
  for (const query of ["{ __schema { types { name } } }", "{ hello }", "{", "mutation { x }"]) {
    const answer = await rawRequest(port, "POST /", { "content-type": "application/json" }, JSON.stringify({ query }));
    t.match(JSON.parse(answer.body), { errors: [{ extensions: { code: "UNAUTHENTICATED" } }] });
  }
  const token = encodeURIComponent(cloud.token);
  for (const extra of [`token=${token}`, `authorization=Bearer%20${token}`, `api_key=${token}`]) {
    const { body } = await rawRequest(port, `GET /graphql?query=%7Bhello%7D&${extra}`, {});
    t.match(JSON.parse(body), { errors: [{ extensions: { code: "UNAUTHENTICATED" } }] }, "a token in a link is none");
  }
});

t.test("a body is taken in only from somebody with a token", async (t) => {
  const head = `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\ncontent-length: 5000000\r\n\r\n`;
  const { body } = await rawHttp(port, `${head}{`, /\]\}$/);
  t.match(body, /UNAUTHENTICATED/, "the answer came before the body did");
});

t.test("a body without an announced length is held to the limit as well", async (t) => {
  const chunk = `10000\r\n${"x".repeat(0x10000)}\r\n`;
  const head = `POST / HTTP/1.1\r\nhost: localhost\r\nauthorization: ${json.authorization}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n`;
  const { status, body } = await rawHttp(port, `${head}${chunk.repeat(90)}0\r\n\r\n`);
  t.equal(status, 413);
  t.match(JSON.parse(body), { errors: [{ extensions: { code: "BODY_TOO_LARGE" } }] });
});

t.test("heads that are too long, contradict themselves or are none are refused by the parser", async (t) => {
  t.equal((await post({ "x-long": "x".repeat(20_000) })).status, 431);
  const both = `POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`;
  t.equal((await rawHttp(port, both)).status, 400);
  t.equal((await rawHttp(port, "GET / HTTP/1.1\r\n\r\n")).status, 400, "no host");
  t.equal((await rawHttp(port, "\u0000\u0001\u0002\r\n\r\n")).status, 400);
  t.equal((await rawRequest(port, "GET http://evil.example/graphql", {})).status, 404);
  t.equal((await rawRequest(port, "DELETE /", {})).status, 405);
  t.equal((await post({}, hello, "/__proto__")).status, 404);
  t.strictSame(cloud.log, [], "and none of it fills the log");
});

t.test("after many bad tokens an address is told to wait, and a good token from there is answered", async (t) => {
  const own = await startTestCloud(t);
  const bad = () => own.post(hello, { authorization: "Bearer wrong" });
  const answers = [];
  for (let n = 0; n < 40; n++) answers.push(await bad());
  t.equal(answers[0]!.status, 200);
  t.equal(answers.filter(({ status }) => status === 429).length >= 8, true);
  t.match(answers.at(-1)!.body.errors, [{ extensions: { code: "TOO_MANY_REQUESTS" }, message: /UNAUTHENTICATED/ }]);
  const { key } = await own.call("create_api_key", { name: "new" });
  for (const token of [own.token, key]) {
    t.equal((await own.post(hello, { authorization: `Bearer ${token}` })).status, 200);
  }
  const last = await rawRequest(own.server.port, "POST /", { ...json, authorization: "Bearer wrong" }, hello);
  t.equal(last.status, 429);
  t.match(last.headers["retry-after"], /^[1-9]\d*$/);
  const stream = await own.post(hello, { authorization: "Bearer wrong" }, "/graphql/stream");
  t.equal(stream.status, 429);
});

t.test("bad tokens are counted by address, an IPv6 network as one, and time makes up for them", async (t) => {
  let now = 0;
  const logins = new FailedLogins(() => now);
  const notes = (address: string, times: number) => Array.from({ length: times }, () => logins.note(address));
  t.ok(notes("10.0.0.1", 30).every((wait) => wait === 0));
  t.strictSame(notes("10.0.0.1", 2), [1, 1]);
  t.equal(logins.note("10.0.0.2"), 0);
  now = 5_000;
  t.strictSame(notes("10.0.0.1", 6), [0, 0, 0, 0, 0, 1]);
  notes("2001:db8:1:2::1", 30);
  t.equal(logins.note("2001:db8:1:2:ffff::9"), 1);
  t.equal(logins.note("2001:db8:1:3::1"), 0);
  t.equal(logins.note("::ffff:10.0.0.3"), 0);
  for (let n = 0; n < 20_000; n++) logins.note(`10.1.${n >> 8}.${n & 255}`);
  t.equal(logins.note("10.0.0.1"), 0, "and so many addresses are not remembered for ever");
});

t.test(
  "a database that is away is status 503 with an id, and never an answer that a client takes for the last word",
  async (t) => {
    const own = await startTestCloud(t);
    await own.ask("{ hello }");
    await own.server.database.close();
    const query = "{ flow_run { id } }";
    const answer = await rawRequest(
      own.server.port,
      "POST /",
      { ...json, authorization: `Bearer ${own.token}` },
      JSON.stringify({ query }),
    );
    t.equal(answer.status, 503);
    t.equal(answer.headers["retry-after"], "1");
    const [error] = JSON.parse(answer.body).errors;
    t.equal(error.extensions.code, "DATABASE_FAILED");
    t.notMatch(answer.body, /millrace\.db|SELECT/, "no path and no statement leaves the server");
    t.ok(own.log.some(({ message }) => message.includes(error.extensions.id)));
    const unknown = await own.ask("{ hello }", null, { authorization: "Bearer other" });
    t.equal(unknown.status, 503, "not even whether a token is good can be said");
  },
);

t.test("an unknown error is told with an id that the log has", async (t) => {
  const own = await startTestCloud(t);
  await own.server.database.write((transaction) => transaction.run("ALTER TABLE project RENAME TO gone"));
  const { status, body } = await own.ask('mutation { create_project(input: {name: "x"}) { id } }');
  t.equal(status, 200);
  const [error] = body.errors as unknown as { extensions: { id: string; code: string } }[];
  t.match(error, { extensions: { code: "INTERNAL", id: /^[\da-f-]{36}$/ } });
  t.notMatch(JSON.stringify(body), /no such table|sqlite/i);
  t.ok(own.log.some(({ message }) => message.includes(error!.extensions.id)));
});

t.test("a server that has too many requests under way says so with status 503, and then answers again", async (t) => {
  const own = await startTestCloud(t, { maxRequests: 3 });
  const head = `POST / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${own.token}\r\ncontent-type: application/json\r\nconnection: close\r\n`;
  const slow = await Promise.all(
    [1, 2, 3].map(async () => {
      const socket = connect(own.server.port, "127.0.0.1");
      await once(socket, "connect");
      socket.write(`${head}content-length: ${hello.length}\r\n\r\n`);
      return socket;
    }),
  );
  t.teardown(() => slow.forEach((socket) => void socket.destroy()));
  const busy = async () => (await own.ask("{ hello }")).status === 503;
  await eventually(busy, { message: "three slow requests are under way" });
  const answer = await rawHttp(own.server.port, `${head}content-length: ${hello.length}\r\n\r\n${hello}`);
  t.equal(answer.status, 503);
  t.equal(answer.headers["retry-after"], "1");
  const [error] = JSON.parse(answer.body).errors;
  t.match(error, { extensions: { code: "CLOUD_BUSY", id: /^[\da-f-]{36}$/ } });
  t.ok(own.log.some(({ message }) => message.includes(error.extensions.id)));
  for (const socket of slow) socket.write(hello);
  await eventually(async () => !(await busy()), { message: "they were answered" });
});

t.test("an origin that is none is refused at the start", async (t) => {
  for (const origin of ["*", "dash.example.com", "https://a.example/path", "null"]) {
    await t.rejects(startTestCloud(t, { allowOrigins: [origin] }), { code: "INPUT_INVALID", message: /not an origin/ });
  }
});
