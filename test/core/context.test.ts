import t from "tap";
import { inTaskContext, isInTask, type TaskContext, taskContext } from "../../src/core/context.js";

const context = (taskName: string): TaskContext => ({ taskName }) as TaskContext;

t.test("a task finds its own context, also after it has waited, beside others", async (t) => {
  const run = (name: string) =>
    inTaskContext(context(name), async () => {
      await new Promise((resolve) => setImmediate(resolve));
      return taskContext().taskName;
    });
  t.same(await Promise.all(["a", "b", "c"].map(run)), ["a", "b", "c"]);
  t.equal(isInTask(), false);
  t.equal(inTaskContext(context("a"), isInTask), true);
});

t.test("outside a task there is no context", async (t) => {
  t.throws(() => taskContext(), { code: "CONTEXT_MISSING", hint: /inside a task/ });
});
