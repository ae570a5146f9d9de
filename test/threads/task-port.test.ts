import { MessageChannel } from "node:worker_threads";
import t, { type Test } from "tap";
import { type CallLinks, servePort } from "../../src/threads/task-port.js";
import { eventually } from "../helpers/eventually.js";

function open(t: Test) {
  const { port1, port2 } = new MessageChannel();
  const refused: string[] = [];
  const lines: string[] = [];
  const log = (line: unknown) => void lines.push(String(line));
  const links: CallLinks = {
    logger: { debug: log, info: log, warn: log, error: log },
    secret: async (name) => (name === "a" ? "value" : () => {}),
    signal: new AbortController().signal,
  };
  const served = servePort(port1, (what) => {
    refused.push(what);
    served.close();
  });
  t.teardown(() => served.close());
  const answers: unknown[] = [];
  port2.on("message", (message) => answers.push(message));
  return { port: port2, refused, lines, served, links, answers };
}

const malformed: [string, unknown][] = [
  ["nothing", null],
  ["a number", 5],
  ["no call", { about: "log", level: "INFO", message: "" }],
  ["a level that is none", { about: "log", callId: 1, level: "constructor", message: "" }],
  ["a message that is no text", { about: "log", callId: 1, level: "INFO", message: {} }],
  ["a question without its number", { about: "secret", callId: 1, name: "a" }],
  ["something else", { about: "close", callId: 1 }],
];

for (const [title, message] of malformed) {
  t.test(`a message of another shape is refused: ${title}`, async (t) => {
    const { port, refused, served, links, lines } = open(t);
    served.serve(1, links);
    port.postMessage(message);
    await eventually(() => refused.length === 1);
    t.same(lines, []);
  });
}

t.test(
  "lines of the call at hand are passed on, those of another are dropped, and none is lost at its end",
  async (t) => {
    const { port, served, links, lines } = open(t);
    const send = (callId: number, message: string) =>
      port.postMessage({ about: "log", callId, level: "INFO", message });
    const first = served.serve(1, links);
    send(1, "a");
    send(1, "b");
    first();
    t.same(lines, ["a", "b"], "though nothing has let the event loop turn");
    const second = served.serve(2, links);
    send(1, "late");
    send(2, "c");
    second();
    t.same(lines, ["a", "b", "c"]);
  },
);

t.test("a secret is answered, or why there is none", async (t) => {
  const { port, served, links, answers } = open(t);
  served.serve(1, links);
  port.postMessage({ about: "secret", callId: 1, askId: 1, name: "a" });
  port.postMessage({ about: "secret", callId: 1, askId: 2, name: "function" });
  await eventually(() => answers.length === 2);
  t.match(answers, [
    { about: "answer", askId: 1, answer: { plain: "value" } },
    { about: "answer", askId: 2, answer: { code: "VALUE_NOT_SERIALIZABLE" } },
  ]);
});
