import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import t, { type Test } from "tap";
import { openCloud } from "../../src/client/cloud-client.js";
import { encodeFrame, FRAME_PROTOCOL, type Frame, FrameReader } from "../../src/codec/frames.js";
import { isMillraceError } from "../../src/core/errors.js";
import { eventually } from "../helpers/eventually.js";
import { startFaultProxy } from "../helpers/fault-proxy.js";
import { startServerProcess } from "../helpers/processes.js";
import { startTestCloud } from "../helpers/server.js";

/** What a scripted Cloud does with a call on an open connection: an answer, bytes of its own, or nothing. */
type OnFrame = (frame: Frame, socket: Socket) => string | undefined;
/** What it does with the upgrade: grants it, answers a status, or drops the connection. */
type OnUpgrade = "grant" | "drop" | number;

interface Scripted {
  port: number;
  posts: number;
  upgrades: number;
  frames: number;
  open: Set<Socket>;
}

async function scripted(t: Test, onUpgrade: () => OnUpgrade, onFrame: OnFrame, port = 0): Promise<Scripted> {
  const open = new Set<Socket>();
  const state: Scripted = { port, posts: 0, upgrades: 0, frames: 0, open };
  const http = createServer((request, response) => {
    request.resume();
    request.on("end", () => {
      state.posts += 1;
      response.setHeader("content-type", "application/json").end('{"data":{"hello":"by request"}}');
    });
  });
  http.on("upgrade", (_request: IncomingMessage, socket: Socket) => {
    state.upgrades += 1;
    socket.on("error", () => {});
    const what = onUpgrade();
    if (what === "drop") return socket.destroy();
    if (what !== "grant") return socket.end(`HTTP/1.1 ${what} No\r\nContent-Length: 0\r\n\r\n`);
    open.add(socket);
    socket.on("close", () => open.delete(socket));
    socket.on("end", () => socket.end());
    socket.write(`HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: ${FRAME_PROTOCOL}\r\n\r\n`);
    const reader = new FrameReader({ maxBytes: 1e7, maxPassedOver: 1e7 });
    socket.on("data", (chunk: Buffer) =>
      reader.push(chunk, (frame) => {
        state.frames += 1;
        const answer = onFrame(frame, socket);
        if (answer !== undefined) socket.write(encodeFrame(frame.id, 200, answer));
      }),
    );
    return undefined;
  });
  await new Promise<void>((resolve) => http.listen(port, "127.0.0.1", resolve));
  state.port = (http.address() as AddressInfo).port;
  t.teardown(async () => {
    for (const socket of open) socket.destroy();
    http.closeAllConnections();
    await new Promise((resolve) => http.close(resolve));
  });
  return state;
}

function clientOf(t: Test, port: number, options: { tries?: number; timeoutMs?: number; token?: string } = {}) {
  const cloud = openCloud({ url: `http://127.0.0.1:${port}`, token: "t0ken", ...options });
  t.teardown(() => cloud.close());
  return cloud;
}

async function ask(cloud: { hello(): Promise<void> }, times: number): Promise<void> {
  for (let time = 0; time < times; time += 1) await cloud.hello();
}

const HELLO = '{"data":{"hello":"by frame"}}';
/** More than are asked by requests before a connection is opened. */
const OFTEN = 20;

t.test("a client that asks often does so over one open connection, and one that asks once does not", async (t) => {
  const server = await scripted(
    t,
    () => "grant",
    () => HELLO,
  );
  const seldom = clientOf(t, server.port);
  await ask(seldom, 2);
  t.equal(server.upgrades, 0);
  const cloud = clientOf(t, server.port);
  await ask(cloud, OFTEN);
  await eventually(() => server.open.size === 1);
  const { posts } = server;
  await Promise.all(Array.from({ length: 1_000 }, () => cloud.hello()));
  t.equal(server.posts, posts, "no more requests");
  t.equal(server.upgrades, 1);
  await cloud.close();
  await eventually(() => server.open.size === 0);
});

t.test("a long body goes by a request of its own", async (t) => {
  const server = await scripted(
    t,
    () => "grant",
    () => HELLO,
  );
  const cloud = clientOf(t, server.port);
  await ask(cloud, OFTEN);
  await eventually(() => server.open.size === 1);
  const { posts, frames } = server;
  await cloud.query("query { hello }", { filling: "x".repeat(100_000) });
  t.same([server.posts, server.frames], [posts + 1, frames]);
});

for (const status of [200, 400, 403, 404, 426]) {
  t.test(`where the upgrade is answered with status ${status}, requests go on and it is not asked again`, async (t) => {
    const server = await scripted(
      t,
      () => status,
      () => HELLO,
    );
    const cloud = clientOf(t, server.port);
    await ask(cloud, 100);
    t.equal(server.upgrades, 1);
    t.equal(server.posts, 100);
  });
}

t.test("an upgrade that fails in passing is asked again, after a pause, and requests go on meanwhile", async (t) => {
  const answers: OnUpgrade[] = [503, "drop"];
  const server = await scripted(
    t,
    () => answers.shift() ?? "grant",
    () => HELLO,
  );
  const cloud = clientOf(t, server.port);
  await eventually(
    async () => {
      await cloud.hello();
      return server.open.size === 1;
    },
    { message: "the third upgrade to be granted" },
  );
  t.equal(server.upgrades, 3);
});

t.test("calls under way when the connection breaks are sent again by request, and a new one is opened", async (t) => {
  let breaks = 0;
  const server = await scripted(
    t,
    () => "grant",
    (frame, socket) => {
      if (server.frames !== 5) return HELLO;
      breaks += 1;
      // Half an answer, and away.
      socket.write(encodeFrame(frame.id, 200, HELLO).subarray(0, 20), () => socket.destroy());
      return undefined;
    },
  );
  const cloud = clientOf(t, server.port);
  await ask(cloud, 100);
  t.equal(breaks, 1);
  await eventually(async () => {
    await cloud.hello();
    return server.upgrades === 2 && server.open.size === 1;
  });
});

t.test("a call that is not answered in time is sent again, and a silent connection is given up", async (t) => {
  let silent = false;
  const server = await scripted(
    t,
    () => "grant",
    () => (silent ? undefined : HELLO),
  );
  const cloud = clientOf(t, server.port, { timeoutMs: 100 });
  await eventually(async () => {
    await cloud.hello();
    return server.frames > 0;
  });
  silent = true;
  const { posts } = server;
  await cloud.hello();
  t.ok(server.posts > posts, "by request");
  await eventually(() => server.upgrades === 2 && server.open.size === 1, { message: "another in its place" });
});

t.test("one slow answer does not end the connection for the others", async (t) => {
  const server = await scripted(
    t,
    () => "grant",
    (frame) => (slow === frame.id ? undefined : HELLO),
  );
  let slow = -1;
  const cloud = clientOf(t, server.port, { timeoutMs: 200 });
  await eventually(async () => {
    await cloud.hello();
    return server.frames > 0;
  });
  slow = server.frames + 1;
  let answered = false;
  const waiting = cloud.hello().then(() => {
    answered = true;
  });
  while (!answered) {
    await cloud.hello();
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  await waiting;
  t.equal(server.upgrades, 1, "it is the same connection still");
});

t.test("where connections open and never answer, requests are made for good", async (t) => {
  const server = await scripted(
    t,
    () => "grant",
    () => undefined,
  );
  const cloud = clientOf(t, server.port, { timeoutMs: 50 });
  await eventually(async () => {
    await cloud.hello();
    return server.upgrades === 3 && server.open.size === 0;
  });
  const { frames } = server;
  await new Promise((resolve) => setTimeout(resolve, 500));
  await ask(cloud, 50);
  t.equal(server.upgrades, 3);
  t.equal(server.frames, frames);
});

t.test("an answer that is no frame ends the connection, and the call is made by request", async (t) => {
  const server = await scripted(
    t,
    () => "grant",
    (_frame, socket) => {
      socket.write(Buffer.alloc(100, 0xff));
      return undefined;
    },
  );
  const cloud = clientOf(t, server.port);
  await ask(cloud, OFTEN);
  await eventually(async () => {
    await cloud.hello();
    return server.upgrades === 3 && server.open.size === 0;
  });
  t.ok(server.frames > 0);
});

t.test("a wrong token is UNAUTHENTICATED however often it is tried", async (t) => {
  const cloud = await startTestCloud(t);
  const client = clientOf(t, cloud.server.port, { token: "wrong" });
  for (let time = 0; time < OFTEN; time += 1) {
    const error = await client.authInfo().catch((thrown: unknown) => thrown);
    if (!isMillraceError(error, "UNAUTHENTICATED")) t.fail(String(error));
  }
});

t.test("a connection that a network cuts in the middle of a frame loses nothing", async (t) => {
  const real = await startTestCloud(t);
  const proxy = await startFaultProxy(real.server.port);
  t.teardown(() => proxy.close());
  const cloud = openCloud({ url: proxy.url, token: real.token });
  t.teardown(() => cloud.close());
  await ask(cloud, OFTEN);
  for (const direction of ["up", "down"] as const) {
    for (const after of [3, 10, 25]) {
      proxy.met = 0;
      proxy.fault = { kind: "cut", direction, after, times: 1 };
      const names = Array.from({ length: 5 }, (_, index) => `${direction} ${after} ${index}`);
      await Promise.all(names.map((name) => cloud.createProject(name)));
      t.equal(proxy.met, 1);
      proxy.fault = undefined;
      for (const name of names) t.equal((await real.rows("SELECT 1 FROM project WHERE name = ?1", name)).length, 1);
      await ask(cloud, 5);
    }
  }
});

t.test("a Cloud that is killed under many calls and started again answers all of them", async (t) => {
  const database = `${t.testdir()}/cloud.db`;
  let server = await startServerProcess(t, database);
  const { port, token } = server;
  const cloud = openCloud({ url: server.url, token: token!, tries: 12 });
  t.teardown(() => cloud.close());
  await ask(cloud, OFTEN);
  const asked = Promise.all(Array.from({ length: 300 }, (_, index) => cloud.createProject(`p${index}`)));
  await server.kill();
  server = await startServerProcess(t, database, port);
  t.equal(new Set(await asked).size, 300);
});
