import t from "tap";
import { isExecutor } from "../../src/core/options/executor.js";
import { executors, flow, task } from "../../src/index.js";

const one = task("one", () => 1);

t.test("executors are plain data, and cannot be changed", async (t) => {
  t.same(executors.sequential(), { kind: "sequential" });
  t.same(executors.concurrent(), { kind: "concurrent" });
  t.same(executors.concurrent({ limit: 3 }), { kind: "concurrent", limit: 3 });
  t.same(executors.threads({ size: 4 }), { kind: "threads", size: 4 });
  for (const each of [executors.sequential(), executors.concurrent(), executors.threads()]) {
    t.ok(Object.isFrozen(each));
    t.ok(isExecutor(JSON.parse(JSON.stringify(each))));
  }
});

t.test("a count that is none is refused, with what was given", async (t) => {
  for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, "3"] as number[]) {
    t.throws(() => executors.concurrent({ limit }), {
      code: "TASK_OPTIONS_INVALID",
      message: /executors\.concurrent\(\) takes `limit`/,
    });
    t.throws(() => executors.threads({ size: limit }), {
      code: "TASK_OPTIONS_INVALID",
      message: /executors\.threads\(\) takes `size`/,
    });
  }
  t.throws(() => executors.concurrent({ size: 3 } as never), { code: "TASK_OPTIONS_INVALID", message: /size: 3/ });
});

t.test("a flow takes one of them, and nothing else", async (t) => {
  for (const executor of [null, "threads", {}, { kind: "dask" }, { kind: "threads", limit: 2 }, { kind: "toString" }]) {
    t.notOk(isExecutor(executor));
    if (executor !== null) {
      t.throws(() => flow("a flow", { executor: executor as never }, () => one()), { code: "TASK_OPTIONS_INVALID" });
    }
  }
  t.equal(flow("a flow", { executor: executors.threads() }, () => one()).definition.options.executor?.kind, "threads");
});
