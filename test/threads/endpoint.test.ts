import { once } from "node:events";
import { MessageChannel } from "node:worker_threads";
import t from "tap";
import { toFailure } from "../../src/codec/failure.js";
import { MillraceError } from "../../src/core/errors.js";
import { connectHost, exposeHost } from "../../src/threads/endpoint.js";
import type { RunHost, RunReport } from "../../src/threads/messages.js";
import { eventually } from "../helpers/eventually.js";
import { RecordingHost } from "../helpers/run-request.js";

const report: RunReport = { states: [{ state: { type: "Running" }, at: "2026-11-23T10:00:00.000Z" }], logs: [] };

function bed(t: { teardown(fn: () => void): void }, host: RunHost = new RecordingHost()) {
  const { port1, port2 } = new MessageChannel();
  const errors: MillraceError[] = [];
  const exposed = exposeHost(port1, host, (error) => errors.push(error));
  t.teardown(() => {
    exposed.close();
    port2.close();
  });
  return { port1, port2, exposed, errors };
}

t.test("a report arrives whole, and its answer comes back", async (t) => {
  const host = new RecordingHost();
  const { port2, exposed } = bed(t, host);
  const connected = connectHost(port2);
  t.equal(await connected.host.report(report), null);
  t.same(host.reports, [report]);
  t.equal(exposed.reports, 1);
  connected.close();
});

t.test("a refused report answers with its failure, code and hint kept", async (t) => {
  const failure = toFailure(new MillraceError("RUN_LEASE_LOST", "taken over", { hint: "do nothing" }));
  const { port2 } = bed(t, {
    report: async () => failure,
    ask: () => new Promise(() => {}),
    stopped: () => new Promise(() => {}),
  });
  const connected = connectHost(port2);
  t.same(await connected.host.report(report), failure);
  connected.close();
});

t.test("the reason to stop comes through", async (t) => {
  const host = new RecordingHost();
  const { port2 } = bed(t, host);
  const connected = connectHost(port2);
  const stopped = connected.host.stopped();
  host.stop(toFailure(new MillraceError("RUN_CANCELLED", "cancelled")));
  t.match(await stopped, { code: "RUN_CANCELLED", message: "cancelled" });
  connected.close();
});

t.test("calls that are under way end with RUN_STOPPED when the other side goes away", async (t) => {
  const { port1, port2 } = bed(t, {
    report: () => new Promise(() => {}),
    ask: () => new Promise(() => {}),
    stopped: () => new Promise(() => {}),
  });
  const connected = connectHost(port2);
  const calls = [connected.host.report(report), connected.host.stopped()];
  port1.close();
  for (const answer of await Promise.all(calls)) t.match(answer, { code: "RUN_STOPPED" });
  t.match(await connected.host.report(report), { code: "RUN_STOPPED" }, "and so do later ones");
});

t.test("calls that are under way end with RUN_STOPPED when this side closes", async (t) => {
  const { port2 } = bed(t, {
    report: () => new Promise(() => {}),
    ask: () => new Promise(() => {}),
    stopped: () => new Promise(() => {}),
  });
  const connected = connectHost(port2);
  const call = connected.host.report(report);
  connected.close();
  t.match(await call, { code: "RUN_STOPPED" });
});

t.test("both ports are closed by either close()", async (t) => {
  for (const side of ["exposed", "connected"] as const) {
    const { port1, port2, exposed } = bed(t);
    const connected = connectHost(port2);
    const closed = Promise.all([once(port1, "close"), once(port2, "close")]);
    if (side === "exposed") exposed.close();
    else connected.close();
    await closed;
  }
});

const apply = { id: "1", type: "APPLY", path: ["report"], argumentList: [{ type: "RAW", value: report }] };
const strange: Record<string, unknown> = {
  null: null,
  text: "hello",
  "arguments that crash comlink": { id: "1", type: "APPLY", argumentList: 5 },
  "a constructor that would run code here": {
    id: "1",
    type: "CONSTRUCT",
    path: ["report", "constructor"],
    argumentList: [{ type: "RAW", value: "globalThis.pwned = true" }],
  },
  "a call of Function": { ...apply, path: ["report", "constructor"] },
  "a handled argument": { ...apply, argumentList: [{ type: "HANDLER", name: "no such handler", value: 1 }] },
  "setting the host's method": { id: "1", type: "SET", path: ["report"], value: { type: "RAW", value: 1 } },
};

for (const [what, message] of Object.entries(strange)) {
  t.test(`a message of another shape closes the port with WORKER_PROTOCOL: ${what}`, async (t) => {
    const host = new RecordingHost();
    const { port2, errors } = bed(t, host);
    port2.postMessage(message);
    port2.postMessage(apply);
    port2.ref();
    await once(port2, "close");
    t.match(errors, [{ code: "WORKER_PROTOCOL" }]);
    t.equal(host.reports.length, 0, "nothing that came later is looked at");
    t.notOk("pwned" in globalThis);
  });
}

t.test("a second report before the first was answered is refused", async (t) => {
  const { port2, errors } = bed(t, {
    report: () => new Promise(() => {}),
    ask: () => new Promise(() => {}),
    stopped: () => new Promise(() => {}),
  });
  port2.postMessage(apply);
  port2.postMessage({ ...apply, id: "2" });
  await eventually(() => errors.length > 0);
  t.match(errors, [{ code: "WORKER_PROTOCOL", message: /before the last one/ }]);
});

t.test("asking twice when to stop is refused", async (t) => {
  const { port2, errors } = bed(t);
  const ask = { id: "1", type: "APPLY", path: ["stopped"], argumentList: [] };
  port2.postMessage(ask);
  port2.postMessage({ ...ask, id: "2" });
  await eventually(() => errors.length > 0);
  t.match(errors, [{ code: "WORKER_PROTOCOL" }]);
});
