import { createServer, request, type Server } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import t, { type Test } from "tap";
import { encodeFrame, FRAME_PROTOCOL, type Frame, FrameReader } from "../../src/codec/frames.js";
import { newId } from "../../src/core/ids.js";
import { OpenConnections } from "../../src/server/http/open-connections.js";
import { MAX_BODY_BYTES } from "../../src/server/http/request-body.js";
import { eventually } from "../helpers/eventually.js";
import { mutation, startTestCloud } from "../helpers/server.js";

interface Line {
  socket: Socket;
  frames: Frame[];
  closed: Promise<void>;
  answer(id: number): Promise<{ status: number; body: { data?: unknown; errors?: { extensions: object }[] } }>;
}

/** The status of the answer to an upgrade request, and the connection when it was granted. */
function upgrade(
  port: number,
  headers: Record<string, string>,
  path = "/graphql/connection",
): Promise<{ status: number; line?: Line }> {
  return new Promise((resolve, reject) => {
    const asked = request({
      port,
      path,
      agent: false,
      headers: { connection: "Upgrade", upgrade: FRAME_PROTOCOL, ...headers },
    });
    asked.on("upgrade", (_response, socket: Socket) => resolve({ status: 101, line: lineOver(socket) }));
    asked.on("response", (response) => {
      response.resume();
      resolve({ status: response.statusCode ?? 0 });
    });
    asked.on("error", reject);
    asked.end();
  });
}

function lineOver(socket: Socket): Line {
  const reader = new FrameReader({ maxBytes: 1e8, maxPassedOver: 1e8 });
  const frames: Frame[] = [];
  socket.on("data", (chunk: Buffer) => reader.push(chunk, (frame) => frames.push(frame)));
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return {
    socket,
    frames,
    closed,
    async answer(id) {
      const frame = await eventually(() => frames.find((each) => each.id === id));
      return { status: frame.status, body: JSON.parse(frame.body!) };
    },
  };
}

const HELLO = '{"query":"{ hello }"}';

async function openLine(t: Test, port: number, token: string): Promise<Line> {
  const { line } = await upgrade(port, { authorization: `Bearer ${token}` });
  if (!line) throw new Error("the connection was refused");
  t.teardown(() => line.socket.destroy());
  return line;
}

t.test("over a connection to the Cloud", async (t) => {
  const cloud = await startTestCloud(t);
  const { port } = cloud.server;

  t.test("a call is answered as a POST of its body is", async (t) => {
    const line = await openLine(t, port, cloud.token);
    const bodies = [
      HELLO,
      "",
      "{",
      '{"query":7}',
      '{"query":"{ hello"}',
      '{"query":"{ goodbye }"}',
      '{"query":"subscription { agent_events(agent_id: \\"a\\") { run_due } }"}',
      JSON.stringify({ query: mutation("create_project"), variables: { input: { name: "a", colour: 1 } } }),
    ];
    for (const [index, body] of bodies.entries()) {
      line.socket.write(encodeFrame(index, 0, body));
      t.same(await line.answer(index), await cloud.post(body), body);
    }
  });

  t.test("a thousand calls that come at once are each answered under their number", async (t) => {
    const line = await openLine(t, port, cloud.token);
    const query = "query($id: UUID!) { project_by_pk(id: $id) { id } }";
    const create = mutation("create_project");
    const calls = Array.from({ length: 1_000 }, (_, id) =>
      id % 10 === 0
        ? { query: create, variables: { input: { name: `p${id}` } } }
        : { query, variables: { id: newId() } },
    );
    line.socket.write(Buffer.concat(calls.map((call, id) => encodeFrame(id, 0, JSON.stringify(call)))));
    await eventually(() => line.frames.length === 1_000, { timeoutMs: 20_000 });
    t.equal(new Set(line.frames.map(({ id }) => id)).size, 1_000);
    for (const { id, status, body } of line.frames) {
      const { data, errors } = JSON.parse(body!) as { data: Record<string, unknown>; errors?: unknown };
      const right = id % 10 === 0 ? data.create_project !== undefined : data.project_by_pk === null;
      if (status !== 200 || errors || !right) t.fail(`call ${id} got ${status} ${body}`);
    }
  });

  t.test("a body above the limit is answered BODY_TOO_LARGE, and the connection still serves", async (t) => {
    const line = await openLine(t, port, cloud.token);
    line.socket.write(encodeFrame(1, 0, " ".repeat(MAX_BODY_BYTES + 1)));
    line.socket.write(encodeFrame(2, 0, HELLO));
    t.match(await line.answer(1), { status: 413, body: { errors: [{ extensions: { code: "BODY_TOO_LARGE" } }] } });
    t.same(await line.answer(2), { status: 200, body: { data: { hello: "hello" } } });
  });

  t.test("a frame that announces gigabytes ends its connection, and no other", async (t) => {
    const [bad, good] = [await openLine(t, port, cloud.token), await openLine(t, port, cloud.token)];
    bad.socket.write(Buffer.alloc(10, 0xff));
    await bad.closed;
    good.socket.write(encodeFrame(1, 0, HELLO));
    t.equal((await good.answer(1)).status, 200);
  });

  t.test("half a frame and then nothing harms nobody, and is not logged", async (t) => {
    const line = await openLine(t, port, cloud.token);
    line.socket.end(encodeFrame(1, 0, HELLO).subarray(0, 15));
    await line.closed;
    t.same(line.frames, []);
    t.same(cloud.log, []);
  });

  t.test("a client that closes its half is answered what it had asked", async (t) => {
    const line = await openLine(t, port, cloud.token);
    line.socket.end(encodeFrame(1, 0, HELLO));
    await line.closed;
    t.equal(line.frames.length, 1);
  });

  t.test("a wrong token, none, another path or protocol open nothing", async (t) => {
    t.equal((await upgrade(port, { authorization: "Bearer wrong" })).status, 401);
    t.equal((await upgrade(port, {})).status, 401);
    const headers = { authorization: `Bearer ${cloud.token}` };
    t.not((await upgrade(port, headers, "/elsewhere")).status, 101);
    t.not((await upgrade(port, { ...headers, upgrade: "websocket" })).status, 101);
    t.equal((await cloud.ask("{ hello }")).status, 200);
  });

  t.test("a token that is over is refused also on a connection that it opened", async (t) => {
    const { key } = await cloud.call("create_api_key", { name: "short" });
    const line = await openLine(t, port, key);
    line.socket.write(encodeFrame(1, 0, HELLO));
    t.notOk((await line.answer(1)).body.errors);
    await cloud.server.database.write((transaction) => transaction.run("DELETE FROM api_key WHERE name = 'short'"));
    let id = 1;
    // A key is believed for 5 s.
    await eventually(
      async () => {
        line.socket.write(encodeFrame(++id, 0, HELLO));
        return (await line.answer(id)).body.errors !== undefined;
      },
      { timeoutMs: 15_000 },
    );
    t.match(await line.answer(id), { body: { errors: [{ extensions: { code: "UNAUTHENTICATED" } }] } });
  });
});

t.test("a Cloud that closes answers the calls under way, and then closes the connection", async (t) => {
  const cloud = await startTestCloud(t);
  const line = await openLine(t, cloud.server.port, cloud.token);
  const call = { query: mutation("create_project"), variables: { input: { name: "last" } } };
  const idle = await openLine(t, cloud.server.port, cloud.token);
  line.socket.write(encodeFrame(1, 0, HELLO));
  await line.answer(1);
  line.socket.write(encodeFrame(2, 0, JSON.stringify(call)));
  await new Promise((resolve) => setImmediate(resolve));
  await cloud.server.close();
  await Promise.all([line.closed, idle.closed]);
  // Either it was read before the close began, and answered, or it was not begun at all.
  t.ok(line.frames.length === 1 || line.frames[1]?.status === 200);
});

/** OpenConnections alone, with times of its own, over answers that the test gives. */
async function bareServer(
  t: Test,
  times: { idleMs: number; frameMs: number },
  call: (body: string) => Promise<{ status: number; text: string }>,
): Promise<{ http: Server; connections: OpenConnections; port: number; log: unknown[] }> {
  const log: unknown[] = [];
  const api = { call: (_headers: unknown, body: string) => call(body), refuseConnection: async () => undefined };
  const connections = new OpenConnections(api, { check: () => ({}) }, (line) => log.push(line), times);
  const http = createServer();
  connections.attach(http);
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.teardown(() => {
    connections.destroy();
    http.close();
  });
  return { http, connections, port: (http.address() as AddressInfo).port, log };
}

t.test("a frame that comes byte by byte for too long ends its connection", async (t) => {
  const { port } = await bareServer(t, { idleMs: 10_000, frameMs: 100 }, async () => ({ status: 200, text: "{}" }));
  const line = await openLine(t, port, "any");
  const bytes = encodeFrame(1, 0, "x".repeat(10_000));
  let at = 0;
  const drip = setInterval(() => line.socket.write(bytes.subarray(at, ++at)), 10);
  await line.closed;
  clearInterval(drip);
  t.ok(at < 1_000, "long before its end");
  t.same(line.frames, []);
});

t.test("a connection that is quiet is closed, and one with a call under way is not", async (t) => {
  const waiting = Promise.withResolvers<{ status: number; text: string }>();
  const { port, connections } = await bareServer(t, { idleMs: 50, frameMs: 1_000 }, () => waiting.promise);
  const [quiet, busy] = [await openLine(t, port, "any"), await openLine(t, port, "any")];
  busy.socket.write(encodeFrame(1, 0, "{}"));
  await quiet.closed;
  await eventually(() => connections.size === 1);
  waiting.resolve({ status: 200, text: '"late"' });
  t.same(await busy.answer(1), { status: 200, body: "late" });
  await busy.closed;
});

t.test("a client that takes no answers is not read from any further", async (t) => {
  let answered = 0;
  const text = JSON.stringify("x".repeat(100_000));
  const { port } = await bareServer(t, { idleMs: 60_000, frameMs: 60_000 }, async () => {
    answered += 1;
    return { status: 200, text };
  });
  const line = await openLine(t, port, "any");
  line.socket.pause();
  const CALLS = 20_000;
  for (let id = 0; id < CALLS; id += 1) line.socket.write(encodeFrame(id, 0, "{}".padEnd(500)));
  let before = -1;
  await eventually(
    () => {
      const still = answered === before && answered > 0;
      before = answered;
      return still;
    },
    { everyMs: 200, timeoutMs: 20_000 },
  );
  t.ok(answered < CALLS / 10, `${answered} of ${CALLS} were answered`);
});

t.test("an answer that fails is INTERNAL for its call alone", async (t) => {
  const { port, log } = await bareServer(t, { idleMs: 10_000, frameMs: 1_000 }, async (body) => {
    if (body === "bad") throw new Error("secret");
    return { status: 200, text: "{}" };
  });
  const line = await openLine(t, port, "any");
  line.socket.write(Buffer.concat([encodeFrame(1, 0, "bad"), encodeFrame(2, 0, "good")]));
  t.match(await line.answer(1), { status: 500, body: { errors: [{ extensions: { code: "INTERNAL" } }] } });
  t.equal((await line.answer(2)).status, 200);
  t.equal(log.length, 1);
});

t.test("a client that is gone before it is known who asks leaves nothing behind", async (t) => {
  const asked = Promise.withResolvers<void>();
  const known = Promise.withResolvers<undefined>();
  const connections = new OpenConnections(
    {
      call: async () => ({ status: 200, text: "{}" }),
      refuseConnection: () => {
        asked.resolve();
        return known.promise;
      },
    },
    { check: () => ({}) },
    () => {},
    { idleMs: 1_000 },
  );
  const http = createServer();
  connections.attach(http);
  const gone = new Promise<void>((resolve) =>
    http.once("connection", (socket) => socket.once("close", () => resolve())),
  );
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.teardown(() => http.close());
  const socket = connect((http.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => {});
  socket.write(
    `GET /graphql/connection HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: ${FRAME_PROTOCOL}\r\n\r\n`,
  );
  await asked.promise;
  socket.resetAndDestroy();
  await gone;
  known.resolve(undefined);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(connections.size, 0);
});

t.test("a client that goes away as it asks for a connection harms nobody", async (t) => {
  const cloud = await startTestCloud(t);
  for (let round = 0; round < 20; round += 1) {
    const socket = connect(cloud.server.port, "127.0.0.1");
    socket.on("error", () => {});
    socket.write(
      `GET /graphql/connection HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: ${FRAME_PROTOCOL}\r\nAuthorization: Bearer ${cloud.token}\r\n\r\n`,
      () => socket.resetAndDestroy(),
    );
    await new Promise((resolve) => socket.once("close", resolve));
  }
  t.equal((await cloud.ask("{ hello }")).status, 200);
  t.same(cloud.log, []);
});
