import t from "tap";
import { hashFlowSpec, toFlowSpec } from "../../src/core/flow-spec.js";
import { task } from "../../src/core/task.js";
import { checkTaskIds, explainMismatch } from "../../src/execute/check-task-ids.js";
import { build } from "../helpers/build.js";
import { aManifest } from "../helpers/saved-flow.js";

const read = task("read", () => 1);
const keep = task("keep", (n: number, _more?: number) => n);

/** A flow's spec and hash as one side of the check has them. */
function side(body: () => unknown) {
  const spec = toFlowSpec(build("orders", body));
  return { spec, specHash: hashFlowSpec(spec) };
}

const one = side(() => keep(read()));
const two = side(() => keep(read(), read()));
const three = side(() => keep(1));

const sides = (registered: typeof one, saved: typeof one, built: typeof one) => ({
  registered: { ...registered, version: 3 },
  manifest: aManifest(saved),
  built,
});

t.test("three equal lists pass, and any other two do not", async (t) => {
  const check = (registered: typeof one, saved: typeof one, built: typeof one) =>
    checkTaskIds({
      registeredSpecHash: registered.specHash,
      manifest: aManifest(saved),
      builtSpecHash: built.specHash,
    });
  t.equal(check(one, one, one), undefined);
  t.same(check(two, one, one), { registered: true, built: false });
  t.same(check(one, one, two), { registered: false, built: true });
  t.same(check(one, two, one), { registered: true, built: true });
  t.same(check(one, two, three), { registered: true, built: true });
});

t.test("the error says which side is stale and what to do", async (t) => {
  const cases: [string, ReturnType<typeof sides>, RegExp, RegExp][] = [
    [
      "replaced after the deploy",
      sides(one, two, two),
      /the Cloud \(version 3\) and its code, loaded here:(.|\n)*added\s+read-2/,
      /Cloud's list is stale.*Deploy/,
    ],
    [
      "another each time",
      sides(one, one, two),
      /the saved flow and its code, loaded here:(.|\n)*added\s+read-2/,
      /time, randomness/,
    ],
    [
      "the manifest alone differs",
      sides(one, two, one),
      /the Cloud \(version 3\) and the saved flow:/,
      /file was changed after the deploy/,
    ],
    ["all differ", sides(one, two, three), /removed\s+read-1/, /No two of the three/],
  ];
  for (const [name, given, message, hint] of cases) {
    const error = explainMismatch(given);
    t.match(error, { code: "TASK_IDS_CHANGED", message, hint }, name);
    t.ok((error.details as { rows: unknown[] }).rows.length > 0, name);
  }
});
