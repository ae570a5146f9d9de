import t from "tap";
import { deployModule } from "../../src/deploy/deploy.js";
import { saveModule } from "../../src/deploy/save.js";
import { loadSavedFlow } from "../../src/execute/load-saved-flow.js";
import { fixture } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";
import { listeningCloud } from "../helpers/listening-cloud.js";

await temporaryHome(t);

/** Each module acts at its top level in another way; loading it must do none of that, and define all its flows. */
const modules: Record<string, string[]> = {
  "modules/top-level-await.ts": ["orders"],
  "modules/main-function.ts": ["orders"],
  "modules/then-style.cjs": ["orders"],
  "modules/two-flows.ts": ["first", "second"],
  "modules/exits-at-end.mjs": ["orders"],
};

for (const [file, names] of Object.entries(modules)) {
  t.test(`${file} is loaded without acting`, async (t) => {
    // Were deploy() to act, it would fail here: there is no Cloud and no token.
    const saved = await saveModule(fixture(file));
    t.same(
      saved.map((each) => each.manifest.spec.name),
      names,
    );
    for (const { location, hash, manifest } of saved) {
      // On the main thread too: process.exit() here would end the test.
      const { flow, specHash } = await loadSavedFlow(location.location, hash);
      t.equal(flow.name, manifest.spec.name);
      t.equal(specHash, manifest.specHash);
    }
  });
}

t.test("a module's own calls stay without effect in the whole way of a deploy", async (t) => {
  const cloud = listeningCloud({ projects: ["Sales"] });
  const deployments = await deployModule(fixture("modules/two-flows.ts"), "Sales", { cloud });
  t.same(
    deployments.map((each) => each.flowName),
    ["first", "second"],
  );
  t.same(
    cloud.calls.map(([name]) => name),
    ["findProject", "createFlow", "findProject", "createFlow"],
    "what the module itself asks for never reaches a Cloud",
  );
});
