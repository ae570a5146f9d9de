import t from "tap";
import { checkCall } from "../../src/threads/check-call.js";
import { MAX_MESSAGE_CHARS, MAX_REPORT_LOGS, MAX_REPORT_STATES, MAX_STATE_CHARS } from "../../src/threads/limits.js";

const entry = { state: { type: "Running", message: null }, at: "2026-11-23T10:00:00.000Z" };
const taskRun = { taskRunId: "a", taskSlug: "load-1", mapIndex: -1, version: 0 };
const line = { at: "2026-11-23T10:00:00.000Z", level: "INFO", name: "millrace.load", message: "m", taskRunId: null };

const call = (report: unknown) => ({
  id: "1-2-3-4",
  type: "APPLY",
  path: ["report"],
  argumentList: [{ type: "RAW", value: report }],
});
const withState = (state: unknown) => call({ states: [{ ...entry, state }], logs: [] });

t.test("the two calls that there are pass", async (t) => {
  t.same(checkCall(call({ states: [entry, { ...entry, taskRun }], logs: [line] })), { method: "report" });
  t.same(checkCall({ id: "1", type: "APPLY", path: ["stopped"], argumentList: [] }), { method: "stopped" });
  t.same(
    checkCall(
      withState({ type: "Failed", message: "m", context: { error: { code: null }, list: [1, true, undefined] } }),
    ),
    {
      method: "report",
    },
  );
});

const good = call({ states: [], logs: [] });
const circle: Record<string, unknown> = { type: "Running" };
circle.self = circle;
let deep: unknown = 1;
for (let depth = 0; depth < 100; depth++) deep = [deep];
let doubled: unknown[] = ["x"];
for (let depth = 0; depth < 25; depth++) doubled = [doubled, doubled];

const refused: Record<string, unknown> = {
  nothing: null,
  undefined: undefined,
  "a number": 5,
  "a text": "APPLY",
  "a list": [],
  "a map": new Map(Object.entries(good)),
  "no id": { ...good, id: undefined },
  "an id of another kind": { ...good, id: {} },
  "a very long id": { ...good, id: "x".repeat(10_000) },
  "no type": { ...good, type: undefined },
  "a look at a property": { ...good, type: "GET" },
  "setting a property": { ...good, type: "SET", value: { type: "RAW", value: 1 } },
  "a constructor": { ...good, type: "CONSTRUCT" },
  "another port": { ...good, type: "ENDPOINT" },
  "a release": { ...good, type: "RELEASE" },
  "a path that is no list": { ...good, path: "report" },
  "the function's constructor": { ...good, path: ["report", "constructor"] },
  "no path": { ...good, path: [] },
  "another method": { ...good, path: ["close"] },
  "the prototype": { ...good, path: ["__proto__"] },
  "arguments that are no list": { ...good, argumentList: 5 },
  "no argument": { ...good, argumentList: [] },
  "two arguments": { ...good, argumentList: [good.argumentList[0], good.argumentList[0]] },
  "an argument for stopped": { ...good, path: ["stopped"] },
  "an argument that is handled": { ...good, argumentList: [{ type: "HANDLER", name: "proxy", value: {} }] },
  "a thrown argument": {
    ...good,
    argumentList: [{ type: "HANDLER", name: "throw", value: { isError: false, value: 1 } }],
  },
  "a hole for an argument": { ...good, argumentList: new Array(1) },
  "no report": call(undefined),
  "a report without logs": call({ states: [] }),
  "a report without states": call({ logs: [] }),
  "states that are no list": call({ states: { length: 1 }, logs: [] }),
  "a hole for a state": call({ states: new Array(3), logs: [] }),
  "too many states": call({ states: new Array(MAX_REPORT_STATES + 1).fill(entry), logs: [] }),
  "too many log lines": call({ states: [], logs: new Array(MAX_REPORT_LOGS + 1).fill(line) }),
  "a state without its time": call({ states: [{ state: entry.state }], logs: [] }),
  "a state of no known type": withState({ type: "Cancel" }),
  "a state that is no object": withState("Running"),
  "a state with a Date": withState({ type: "Running", context: { at: new Date() } }),
  "a state with a BigInt": withState({ type: "Running", context: { n: 1n } }),
  "a state with an infinite number": withState({ type: "Running", run_count: Number.POSITIVE_INFINITY }),
  "a state with bytes": withState({ type: "Running", context: { bytes: new Uint8Array(3) } }),
  "a state with an error": withState({ type: "Failed", context: { error: new Error("x") } }),
  "a circle": withState(circle),
  "a deep state": withState({ type: "Running", context: { deep } }),
  "a state that doubles itself": withState({ type: "Running", context: { doubled } }),
  "a huge empty list": withState({ type: "Running", context: { list: new Array(4_000_000_000) } }),
  "a huge text": withState({ type: "Running", context: { text: "x".repeat(MAX_STATE_CHARS + 1) } }),
  "a long message": withState({ type: "Running", message: "x".repeat(MAX_MESSAGE_CHARS + 1) }),
  "many large states": call({
    states: new Array(20).fill({ ...entry, state: { type: "Running", context: { text: "x".repeat(100_000) } } }),
    logs: [],
  }),
  "a task run without an id": call({ states: [{ ...entry, taskRun: { ...taskRun, taskRunId: 5 } }], logs: [] }),
  "a task run with a version below 0": call({ states: [{ ...entry, taskRun: { ...taskRun, version: -1 } }], logs: [] }),
  "a task run with a map index below -1": call({
    states: [{ ...entry, taskRun: { ...taskRun, mapIndex: -2 } }],
    logs: [],
  }),
  "a task run with half a version": call({ states: [{ ...entry, taskRun: { ...taskRun, version: 0.5 } }], logs: [] }),
  "a task run that is null": call({ states: [{ ...entry, taskRun: null }], logs: [] }),
  "a log line of another level": call({ states: [], logs: [{ ...line, level: "LOUD" }] }),
  "a log line without text": call({ states: [], logs: [{ ...line, message: {} }] }),
  "a long log line": call({ states: [], logs: [{ ...line, message: "x".repeat(MAX_MESSAGE_CHARS + 1) }] }),
  "a log line of a task run that is no text": call({ states: [], logs: [{ ...line, taskRunId: 5 }] }),
};

for (const [what, message] of Object.entries(refused)) {
  t.test(`refused: ${what}`, async (t) => {
    const checked = checkCall(message);
    t.ok("problem" in checked, JSON.stringify(checked));
  });
}
