import t from "tap";
import { makeState, type StateType } from "../../src/core/state.js";
import { triggers } from "../../src/core/trigger.js";

const { allSuccessful, allFailed, allFinished, anySuccessful, anyFailed } = triggers;
const plain = { allSuccessful, allFailed, allFinished, anySuccessful, anyFailed };

t.test("each trigger starts a task for the upstream states it is named for", async (t) => {
  const cases: [StateType[], string][] = [
    [[], "allSuccessful allFailed allFinished anySuccessful anyFailed"],
    [["Success", "Success"], "allSuccessful allFinished anySuccessful"],
    [["Success", "Failed"], "allFinished anySuccessful anyFailed"],
    [["Failed", "TimedOut"], "allFailed allFinished anyFailed"],
    [["TriggerFailed"], "allFailed allFinished anyFailed"],
    [["Skipped", "Cached", "Mapped"], "allSuccessful allFinished anySuccessful"],
    [["Cancelled"], "allFinished"],
    [["Success", "Cancelled"], "allFinished anySuccessful"],
    [["Success", "Running"], "anySuccessful"],
    [["Pending"], ""],
  ];
  for (const [types, starts] of cases) {
    const states = types.map((type) => makeState(type, null));
    const started = Object.entries(plain).filter(([, trigger]) => trigger.check(states, { resumed: false }) === true);
    t.equal(started.map(([name]) => name).join(" "), starts, types.join(", ") || "no upstream");
  }
});

t.test("a trigger that holds a task back says why", async (t) => {
  const states = [makeState("Failed", null), makeState("Success", null)];
  t.equal(triggers.allSuccessful.check(states, { resumed: false }), "not all upstream tasks succeeded");
  t.equal(triggers.allFailed.check(states, { resumed: false }), "not all upstream tasks failed");
  t.equal(triggers.anyFailed.check(states.slice(1), { resumed: false }), "no upstream task failed");
});

t.test("triggers carry the names of the protocol and cannot be changed", async (t) => {
  const names = Object.values(plain).map((trigger) => trigger.name);
  t.same(names, ["all_successful", "all_failed", "all_finished", "any_successful", "any_failed"]);
  for (const trigger of Object.values(plain)) t.ok(Object.isFrozen(trigger));
});
