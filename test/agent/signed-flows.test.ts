import { join } from "node:path";
import t from "tap";
import { deployModule } from "../../src/deploy/deploy.js";
import { loadSigningKey, makeKeyPair } from "../../src/storage/key-files.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const ours = await makeKeyPair(join(home, "ours.pem"));
const theirs = await makeKeyPair(join(home, "theirs.pem"));
const fixture = new URL("../../../fixtures/sleeps.ts", import.meta.url).pathname;

t.test("an agent that takes signed flows only runs those that its keys signed, and no other", async (t) => {
  const bed = await openAgentBed(t, home);
  const deploy = async (privateFile: string | undefined) => {
    const signed = privateFile === undefined ? {} : { signingKey: await loadSigningKey(privateFile) };
    const [deployment] = await deployModule(fixture, "Tests", { cloud: bed.cloud, createProject: true, ...signed });
    return deployment!;
  };
  const run = async (flowId: string, labels: readonly string[], keys: readonly string[] = [ours.publicFile]) => {
    const id = await bed.cloud.createFlowRun({ flowId, parameters: { ms: 1 } });
    await bed.agent({ once: true, labels, requireSignedBy: keys }).run();
    return bed.flowRun(id);
  };

  const unsigned = await deploy(undefined);
  t.match(await run(unsigned.flowId, unsigned.labels), {
    state: "Failed",
    message: /^This agent runs only flows that are signed by the key .*; flow "sleeps" is not signed\.$/,
  });
  const foreign = await deploy(theirs.privateFile);
  t.equal(foreign.version, unsigned.version + 1, "the same code, signed, is registered anew");
  t.match(await run(foreign.flowId, foreign.labels), { state: "Failed", message: /is signed by the key/ });
  t.match(await run(foreign.flowId, foreign.labels, [ours.publicFile, theirs.publicFile]), { state: "Success" });
  const signed = await deploy(ours.privateFile);
  t.match(await run(signed.flowId, signed.labels), { state: "Success" });
  t.match(await deploy(ours.privateFile), { created: false, version: signed.version }, "signed again, it is unchanged");
});

t.test("a registration that was changed after it was signed is refused before anything of it is loaded", async (t) => {
  const bed = await openAgentBed(t, home);
  const signingKey = await loadSigningKey(ours.privateFile);
  const [deployment] = await deployModule(fixture, "Tests", { cloud: bed.cloud, createProject: true, signingKey });
  const { flowId, labels } = deployment!;
  // As a Cloud that is no longer its owner's would answer.
  const cloud: typeof bed.cloud = {
    ...bed.cloud,
    flow: async (id) => {
      const flow = (await bed.cloud.flow(id))!;
      return { ...flow, storage: { ...flow.storage, hash: "0".repeat(64), location: "/nowhere" } };
    },
  };
  const id = await bed.cloud.createFlowRun({ flowId, parameters: { ms: 1 } });
  await bed.agent({ once: true, cloud, labels, requireSignedBy: [ours.publicFile] }).run();
  t.match(await bed.flowRun(id), { state: "Failed", message: /^The signature of flow "sleeps" by the key/ });
});

t.test("an agent whose keys cannot be read does not start", async (t) => {
  const bed = await openAgentBed(t, home);
  await t.rejects(bed.agent({ requireSignedBy: [join(home, "none.pub")] }).run(), { code: "SIGNING_KEY_INVALID" });
});
