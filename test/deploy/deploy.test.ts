import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import t from "tap";
import type { RegisteredFlow } from "../../src/client/cloud.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import { compareWithDeployed } from "../../src/deploy/compare.js";
import { deployFlow, deployModule } from "../../src/deploy/deploy.js";
import { type StoredFlow, saveModule } from "../../src/deploy/save.js";
import { loadSavedFlow } from "../../src/execute/load-saved-flow.js";
import { fixture, userProject } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";
import { listeningCloud } from "../helpers/listening-cloud.js";

await temporaryHome(t);

/** The flow of a fixture as its author's process holds it. */
async function inHand(file: string): Promise<FlowDefinition> {
  const [{ location, hash }] = (await saveModule(file)) as [StoredFlow];
  const { flow } = await loadSavedFlow(location.location, hash);
  return { ...flow, sourceFile: file };
}

t.test("a deploy saves, checks and registers, in that order", async (t) => {
  const cloud = listeningCloud({ projects: ["Sales"] });
  const parts: string[] = [];
  const deployment = await deployFlow(await inHand(fixture("hello.ts")), "Sales", {
    cloud,
    labels: ["gpu"],
    onProgress: (part) => parts.push(part),
  });
  t.same(parts, ["save", "load check", "register"]);
  t.match(deployment, {
    flowId: "flow 1",
    flowGroupId: "group hello",
    flowName: "hello",
    version: 1,
    created: true,
    labels: [hostname(), "gpu", "hello"].sort(),
    url: "http://127.0.0.1:4200/flow/flow%201",
    savedFlow: { type: "Local", hash: deployment.hash },
  });
  t.match(cloud.flows[0], {
    projectId: "project Sales",
    spec: { name: "hello" },
    storage: { type: "Local", location: deployment.savedFlow.location, hash: deployment.hash },
    threadOptions: { freshThread: false, maxHeapMb: null },
  });
});

t.test("an unchanged flow is not registered again; other labels, or a file that was lost, are", async (t) => {
  const cloud = listeningCloud({ projects: ["Sales"] });
  const deploy = (labels: string[] = []) => deployModule(fixture("hello.ts"), "Sales", { cloud, labels });
  t.match(await deploy(), [{ version: 1, created: true, labels: [hostname(), "hello"].sort() }]);
  const [second] = await deploy();
  t.match(second, { version: 1, created: false });
  t.match(await deploy(["gpu"]), [{ version: 2, created: true }]);
  await rm(second!.savedFlow.location);
  t.match(await deploy(["gpu"]), [{ version: 3, created: true }]);
});

t.test("a project that is not there is made only when asked for", async (t) => {
  const cloud = listeningCloud();
  await t.rejects(deployModule(fixture("hello.ts"), "Sales", { cloud }), {
    code: "PROJECT_NOT_FOUND",
    message: /"Sales" at http:\/\/127\.0\.0\.1:4200/,
    hint: /createProject: true/,
  });
  t.match(await deployModule(fixture("hello.ts"), "Sales", { cloud, createProject: true }), [{ version: 1 }]);
});

t.test("a flow that is another each time it is loaded is found at deploy, before the Cloud hears of it", async (t) => {
  const cloud = listeningCloud({ projects: ["Sales"] });
  await t.rejects(deployModule(fixture("changes/another-each-time.ts"), "Sales", { cloud }), {
    code: "TASK_IDS_CHANGED",
    message: /arguments changed\s+read-1/,
    hint: /time, randomness/,
  });
  t.same(cloud.calls, []);
});

t.test("options of the flow reach the Cloud", async (t) => {
  const cloud = listeningCloud({ projects: ["Sales"] });
  const folder = await userProject(t, {
    "flow.ts":
      'import { flow, task } from "millrace";\nconst t = task("t", () => 1);\nflow("tuned", { freshThread: true, maxHeapMb: 256 }, () => t());\n',
  });
  await deployModule(join(folder, "flow.ts"), "Sales", { cloud });
  t.same(cloud.flows[0]!.threadOptions, { freshThread: true, maxHeapMb: 256 });
});

/** What the Cloud would answer for a flow that was deployed from that file. */
async function deployedFrom(file: string): Promise<RegisteredFlow> {
  const cloud = listeningCloud({ projects: ["Sales"] });
  await deployModule(file, "Sales", { cloud });
  return cloud.flows[0] as unknown as RegisteredFlow;
}

t.test("a flow in hand is compared with the deployed one, task by task", async (t) => {
  const registered = await deployedFrom(fixture("changes/deployed.ts"));
  const changes: Record<string, [kind: string, slug: string][]> = {
    "deployed.ts": [],
    "renamed.ts": [["renamed", "read file-1"]],
    "added.ts": [["added", "check-1"]],
    "removed.ts": [["removed", "keep-1"]],
    "rewired.ts": [
      ["arguments changed", "keep-1"],
      ["rewired", "keep-1"],
    ],
    "body-changed.ts": [["body changed", "keep-1"]],
  };
  for (const [file, expected] of Object.entries(changes)) {
    const rows = await compareWithDeployed(await inHand(fixture(`changes/${file}`)), registered);
    // The same code in another file is no change of the flow, but it is of the module.
    const tasks = rows.filter((row) => row.slug !== "(module)");
    t.same(
      tasks.map((row) => [row.kind, row.slug]),
      expected,
      file,
    );
  }
});

t.test("a change outside the tasks is a change of the module", async (t) => {
  const flowText =
    'import { flow, task } from "millrace";\nimport { rate } from "./rate.ts";\nconst t = task("t", () => rate);\nflow("f", () => t());\n';
  const before = await userProject(t, { "flow.ts": flowText, "rate.ts": "export const rate = 1;" });
  const after = await userProject(t, { "flow.ts": flowText, "rate.ts": "export const rate = 2;" });
  const registered = await deployedFrom(join(before, "flow.ts"));
  const flow = await inHand(join(after, "flow.ts"));
  t.match(await compareWithDeployed(flow, registered), [{ kind: "body changed", slug: "(module)" }]);
  t.same(await compareWithDeployed({ ...flow, sourceFile: join(before, "flow.ts") }, registered), []);

  const otherHash = { ...registered, storage: { ...registered.storage, hash: "0".repeat(64) } };
  t.same(
    await compareWithDeployed({ ...flow, sourceFile: join(before, "flow.ts") }, otherHash),
    [],
    "the code itself decides",
  );
  await rm(registered.storage.location);
  t.match(await compareWithDeployed({ ...flow, sourceFile: join(before, "flow.ts") }, otherHash), [
    { before: /not on this machine/ },
  ]);
});
