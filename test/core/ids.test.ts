import t from "tap";
import { newId, taskId } from "../../src/core/ids.js";
import { agentTakes, normalizeLabels } from "../../src/core/labels.js";
import { seeded } from "../helpers/build.js";

t.test("row ids sort in the order in which they were made", async (t) => {
  const ids = Array.from({ length: 5_000 }, newId);
  t.same([...ids].sort(), ids);
  t.equal(new Set(ids).size, ids.length);
  t.match(ids[0], /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
});

t.test("task ids tell flow and slug apart", async (t) => {
  t.not(taskId("a", "b\nc"), taskId("a b", "c"));
  t.not(taskId("ab", "c"), taskId("a", "bc"));
  t.match(taskId("flow", "task-1"), /^[0-9a-f]{8}-[0-9a-f]{4}-5/);
});

t.test("whatever the labels, an agent with more of them takes no less", async (t) => {
  const random = seeded(7);
  const some = () => ["a", "b", "c", "d"].filter(() => random() < 0.5);
  for (let i = 0; i < 500; i++) {
    const [run, agent, more] = [some(), some(), some()];
    const takes = agentTakes(run, agent);
    const expected = run.length === 0 ? agent.length === 0 : new Set([...run, ...agent]).size === new Set(agent).size;
    if (takes !== expected) t.fail(`run [${run}], agent [${agent}]: ${takes}`);
    if (takes && run.length > 0 && !agentTakes(run, [...agent, ...more]))
      t.fail(`more labels take less: [${run}], [${agent}]`);
  }
  t.same(normalizeLabels(normalizeLabels([" b ", "a"])), ["a", "b"]);
});
