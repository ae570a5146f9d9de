import t from "tap";
import { agentTakes, normalizeLabels } from "../../src/core/labels.js";

t.test("an agent takes a run when it carries every label of the run", async (t) => {
  t.equal(agentTakes(["a"], ["a", "b"]), true);
  t.equal(agentTakes(["a", "c"], ["a", "b"]), false);
  t.equal(agentTakes([], ["a"]), false, "a run without labels goes only to an agent without labels");
  t.equal(agentTakes([], []), true);
});

t.test("labels are kept trimmed, without doubles, sorted", async (t) => {
  t.same(normalizeLabels([" b", "a", "b", ""]), ["a", "b"]);
});
