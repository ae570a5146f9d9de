import t from "tap";
import { toFlowSpec } from "../../src/core/flow-spec.js";
import { inDependencyOrder, terminalTasks } from "../../src/core/graph.js";
import type { Ref } from "../../src/core/reference.js";
import { task } from "../../src/core/task.js";
import { build, seeded, taskOf } from "../helpers/build.js";

const start = task("start", () => 0);
const next = task("next", (value: number) => value + 1);
const join = task("join", (values: readonly number[]) => values.length);

t.test("a circle made with after() is named in the order of its tasks", async (t) => {
  const circular = () =>
    build("round", () => {
      const a = next(1);
      const b = next(a);
      const c = next(b);
      a.after(c);
    });
  t.throws(circular, {
    code: "FLOW_CYCLE",
    message: 'Flow "round" has tasks that wait for each other: next-1 → next-2 → next-3 → next-1.',
    hint: /after/,
    details: ["next-1", "next-2", "next-3", "next-1"],
  });
});

t.test("a task that waits for itself is a circle", async (t) => {
  const selfish = () =>
    build("self", () => {
      const a = start();
      a.after(a);
    });
  t.throws(selfish, { code: "FLOW_CYCLE", message: /start-1 → start-1/ });
});

t.test("two ways to one task are no circle", async (t) => {
  const flow = build("diamond", () => {
    const top = start();
    join([next(top), next(top), top]);
  });
  t.same(
    flow.tasks.map((each) => each.slug),
    ["start-1", "next-1", "next-2", "join-1"],
  );
  t.same(
    terminalTasks(flow.tasks).map((each) => each.slug),
    ["join-1"],
  );
});

t.test("the tasks that nothing waits for are terminal, order edges counted", async (t) => {
  const flow = build("ends", () => {
    const a = start();
    start();
    start().after(a);
  });
  t.same(
    terminalTasks(flow.tasks).map((each) => each.slug),
    ["start-2", "start-3"],
  );
});

t.test("a chain of 100,000 tasks builds, forwards and backwards", async (t) => {
  const length = 100_000;
  const forwards = build("long", () => {
    let value: Ref<number> = start();
    for (let i = 1; i < length; i++) value = next(value);
    return value;
  });
  t.equal(forwards.tasks.length, length);
  t.equal(forwards.edges.length, length - 1);
  t.equal(toFlowSpec(forwards).tasks.at(-1)?.slug, `next-${length - 1}`);
  const backwards = build("long", () => {
    let last = start();
    for (let i = 1; i < length; i++) {
      const before = start();
      last.after(before);
      last = before;
    }
  });
  t.equal(backwards.tasks[0]?.slug, `start-${length}`);
  t.equal(backwards.tasks.at(-1)?.slug, "start-1");
});

t.test("one task may wait for 10,000", async (t) => {
  const flow = build("wide", () => join(Array.from({ length: 10_000 }, () => start())));
  t.equal(taskOf(flow, "join-1").upstream.length, 10_000);
});

t.test("in graphs made at random every task comes after its upstreams, and circles are always found", async (t) => {
  let circles = 0;
  for (let seed = 1; seed <= 400; seed++) {
    const random = seeded(seed);
    const size = 2 + Math.floor(random() * 30);
    const pick = () => Math.floor(random() * size);
    const orders = Array.from({ length: Math.floor(random() * size * 1.2) }, () => [pick(), pick()] as const);
    const isCircular = hasCircle(size, orders);
    const make = () =>
      build(`random-${seed}`, () => {
        const tasks = Array.from({ length: size }, () => start());
        for (const [before, after] of orders) tasks[after]!.after(tasks[before]!);
      });
    if (isCircular) {
      circles += 1;
      try {
        make();
        t.fail(`seed ${seed}: a circle was not found`);
      } catch (error) {
        const circle = (error as { details: string[] }).details;
        const edges = new Set(orders.map(([before, after]) => `start-${before + 1} start-${after + 1}`));
        const isReal = circle.slice(1).every((slug, index) => edges.has(`${circle[index]} ${slug}`));
        if (!isReal || circle[0] !== circle.at(-1)) t.fail(`seed ${seed}: ${circle.join(" → ")} is no circle`);
      }
      continue;
    }
    const flow = make();
    const place = new Map(flow.tasks.map((each, index) => [each, index]));
    const wrong = flow.edges.filter((edge) => place.get(edge.upstream)! >= place.get(edge.downstream)!);
    if (wrong.length > 0 || flow.tasks.length !== size) t.fail(`seed ${seed}: out of order`);
    const again = inDependencyOrder(flow.name, flow.tasks);
    if (again.some((each, index) => each !== flow.tasks[index]))
      t.fail(`seed ${seed}: ordered twice is ordered otherwise`);
  }
  t.ok(circles > 50 && circles < 350, `both kinds were tried: ${circles} of 400 had a circle`);
});

/** By taking away, again and again, what waits for nothing: another way than the one under test. */
function hasCircle(size: number, orders: readonly (readonly [number, number])[]): boolean {
  let left = new Set(Array.from({ length: size }, (_, index) => index));
  for (;;) {
    const waiting = new Set(
      orders.filter(([before, after]) => left.has(before) && left.has(after)).map(([, after]) => after),
    );
    if (waiting.size === left.size) return left.size > 0;
    left = waiting;
  }
}
