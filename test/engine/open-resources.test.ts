import t from "tap";
import { resource, use } from "../../src/core/control/resource.js";
import { MillraceError } from "../../src/core/errors.js";
import { signals } from "../../src/core/signal.js";
import { task } from "../../src/core/task.js";
import { GIVE_BACK_GRACE_MS } from "../../src/engine/flow-runner.js";
import { define, knownAfter, settled, start } from "./bed.js";

/** Resources that say when they are opened and closed, and whether closing ever ends. */
function journal() {
  const lines: string[] = [];
  const kind = (name: string, closes: () => unknown = () => {}) =>
    resource(name, {
      setup: () => {
        lines.push(`open ${name}`);
        return new Map([["name", name]]);
      },
      cleanup: (it) => {
        lines.push(`close ${it.get("name")}`);
        return closes();
      },
    });
  return { lines, kind };
}

const hangs = task("hangs", (_: unknown) => new Promise(() => {}));
const cancel = () => new MillraceError("RUN_CANCELLED", "cancelled");

t.test("a cancelled run gives its resources back, the inner one first, and says so", async (t) => {
  const { lines, kind } = journal();
  const [outer, inner] = [kind("outer"), kind("inner")];
  const bed = start(define(() => use(outer(), (a) => use(inner(), (b) => hangs([a, b])))));
  while (lines.length < 2) await settled();
  await settled();
  bed.stop.abort(cancel());
  const end = await bed.outcome;
  t.equal(end.state.type, "Cancelled");
  t.same(lines, ["open outer", "open inner", "close inner", "close outer"]);
  t.same(bed.recorder.of("inner.cleanup-1").at(-1)?.state.type, "Success");
  t.same(bed.recorder.of("outer.cleanup-1").at(-1)?.state.type, "Success");
  t.same(bed.recorder.of("hangs-1").at(-1)?.state.type, "Cancelled");
});

t.test("a clean-up that fails or hangs does not keep a cancelled run", async (t) => {
  const { lines, kind } = journal();
  const broken = kind("broken", () => {
    throw new Error("stuck");
  });
  const slow = kind("slow", () => new Promise(() => {}));
  const bed = start(define(() => use(slow(), (a) => use(broken(), (b) => hangs([a, b])))));
  while (lines.length < 2) await settled();
  await settled();
  const before = bed.clock.now();
  bed.stop.abort(cancel());
  t.equal((await bed.outcome).state.type, "Cancelled");
  t.same(bed.recorder.of("broken.cleanup-1").at(-1)?.state.type, "Failed");
  t.same(bed.recorder.of("slow.cleanup-1").at(-1)?.state.type, "Cancelled");
  t.ok(bed.recorder.logs.some(({ message }) => /could not be given back .*stuck/s.test(message)));
  t.ok(bed.clock.now() - before >= GIVE_BACK_GRACE_MS);
});

t.test("a run that waits for a person gives its resources back, and sets them up anew when it goes on", async (t) => {
  const { lines, kind } = journal();
  const file = kind("file");
  const asks = task("asks", (it: Map<string, string>) => {
    if (!lines.includes("resumed")) throw signals.pause("may I?");
    return it.get("name");
  });
  const flow = define(() => use(file(), (it) => asks(it)));
  const first = start(flow);
  t.match((await first.outcome).end, { kind: "waiting", dueAt: null });
  t.same(lines, ["open file", "close file"]);
  t.same(first.recorder.of("file.cleanup-1"), [], "the clean-up as the flow has it is still to come");
  lines.push("resumed");
  const taskRuns = knownAfter(first.recorder.reports).map((each) =>
    each.taskSlug === "asks-1" ? { ...each, state: { ...each.state!, type: "Resume" as const, startAt: null } } : each,
  );
  const second = start(flow, { taskRuns });
  t.equal((await second.outcome).state.type, "Success");
  t.same(lines.slice(3), ["open file", "close file"]);
});

t.test("a run that is cancelled while it gives its resources back to wait gives each back once", async (t) => {
  const { lines, kind } = journal();
  const closing = Promise.withResolvers<void>();
  const file = kind("file", () => closing.promise);
  const asks = task("asks", (_: unknown) => signals.pause("may I?"));
  const bed = start(define(() => use(file(), (it) => asks(it))));
  while (lines.length < 2) await settled();
  bed.stop.abort(cancel());
  await settled();
  closing.resolve();
  t.equal((await bed.outcome).state.type, "Cancelled");
  t.same(lines, ["open file", "close file"]);
  t.equal(bed.recorder.of("asks-1").at(-1)?.state.type, "Cancelled");
});

t.test("a run with an open resource waits for a time in place, however long", async (t) => {
  const { lines, kind } = journal();
  const retries = task("retries", { retries: 1, retryDelayMs: 60_000 }, (_: unknown) => {
    lines.push("try");
    if (lines.filter((line) => line === "try").length === 1) throw new Error("once");
  });
  const bed = start(
    define(() => use(kind("file")(), (it) => retries(it))),
    { ports: { maxWaitMs: 10_000 } },
  );
  t.equal((await bed.outcome).state.type, "Success");
  t.same(lines, ["open file", "try", "try", "close file"]);
});
