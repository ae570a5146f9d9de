import t from "tap";
import { fetchTransport } from "../../src/client/transport.js";
import { startAnsweringServer } from "../helpers/answering-server.js";
import { eventually } from "../helpers/eventually.js";

const request = { body: '{"query":"subscription"}', headers: { "content-type": "application/json" } };

t.test("over a fetch of the caller's, a subscription on which nothing is heard is given up", async (t) => {
  const server = await startAnsweringServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    response.write(":\n\n");
    return undefined;
  });
  t.teardown(() => server.stop());
  const transport = fetchTransport(new URL(server.url), 5_000, fetch, 50);
  const { body } = await transport.stream(request, new AbortController().signal);
  const heard: string[] = [];
  const reading = (async () => {
    for await (const chunk of body!) heard.push(Buffer.from(chunk).toString());
  })();
  await t.rejects(reading, { message: "nothing was heard for 50 ms" });
  t.same(heard, [":\n\n"]);
  await eventually(async () => (await server.connections()) === 0, { message: "the connection to be closed" });
});

t.test("signs of life keep a subscription open for longer than one silence", async (t) => {
  const SIGNS = 8;
  const server = await startAnsweringServer((_request, response) => {
    response.writeHead(200, { "content-type": "text/event-stream" });
    let sent = 0;
    const timer = setInterval(() => {
      sent += 1;
      if (sent < SIGNS) return void response.write(":\n\n");
      clearInterval(timer);
      response.end(":\n\n");
    }, 100);
    return undefined;
  });
  t.teardown(() => server.stop());
  const transport = fetchTransport(new URL(server.url), 5_000, fetch, 500);
  const { body } = await transport.stream(request, new AbortController().signal);
  let text = "";
  for await (const chunk of body!) text += Buffer.from(chunk).toString();
  t.equal(text, ":\n\n".repeat(SIGNS));
});

t.test("a subscription that is not even answered is given up after the time of a request", async (t) => {
  const server = await startAnsweringServer(() => undefined);
  t.teardown(() => server.stop());
  const transport = fetchTransport(new URL(server.url), 50, fetch);
  await t.rejects(transport.stream(request, new AbortController().signal), { message: "nothing was heard for 50 ms" });
});
