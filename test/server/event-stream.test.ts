import { createServer, get, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import t, { type Test } from "tap";
import { writeEvents } from "../../src/server/api/event-stream.js";

const EVENTS = 50;
/** More than a response keeps before it says that it is full. */
const EVENT = `${"x".repeat(100_000)}\n`;

async function* manyEvents(written: () => void = () => {}): AsyncGenerator<string, void, undefined> {
  for (let at = 0; at < EVENTS; at += 1) {
    yield EVENT;
    written();
  }
}

/** One response, and the client's side of it. */
async function streamOver(
  t: Test,
  write: (response: ServerResponse) => Promise<void>,
): Promise<{ incoming: IncomingMessage; written: Promise<void> }> {
  const done = Promise.withResolvers<void>();
  const http = createServer((_request, response) => done.resolve(write(response)));
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  t.teardown(() => http.close());
  const { port } = http.address() as AddressInfo;
  const incoming = await new Promise<IncomingMessage>((resolve) => get({ port, agent: false }, resolve));
  incoming.on("error", () => {});
  return { incoming, written: done.promise };
}

t.test("a client that takes its events slowly gets them all, and leaves no listeners", async (t) => {
  let mostListeners = 0;
  const { incoming, written } = await streamOver(t, (response) => {
    const count = () => {
      mostListeners = Math.max(mostListeners, response.listenerCount("close"));
    };
    return writeEvents(manyEvents(count), response, () => false);
  });
  let bytes = 0;
  for await (const chunk of incoming) bytes += (chunk as Buffer).length;
  await written;
  t.equal(bytes, EVENTS * EVENT.length);
  t.ok(mostListeners < 5, `${mostListeners} listeners`);
});

t.test("a client that goes away while the server waits for it ends its events", async (t) => {
  let ended = 0;
  async function* events(): AsyncGenerator<string, void, undefined> {
    try {
      for (;;) yield EVENT;
    } finally {
      ended += 1;
    }
  }
  const { incoming, written } = await streamOver(t, (response) => writeEvents(events(), response, () => false));
  incoming.pause();
  incoming.destroy();
  await written;
  t.equal(ended, 1);
});
