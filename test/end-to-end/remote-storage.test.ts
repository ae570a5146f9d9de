import { mkdir, readdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { LocalAgent } from "../../src/agent/local-agent.js";
import { openCloud } from "../../src/client/cloud-client.js";
import { S3 } from "../../src/core/options/flow-storage.js";
import { deployModule } from "../../src/deploy/deploy.js";
import { openObjectStore } from "../../src/storage/open-objects.js";
import { useEnvironment } from "../helpers/environment.js";
import { eventually } from "../helpers/eventually.js";
import { fixture } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";
import { startAgentProcess } from "../helpers/processes.js";
import { startS3Server } from "../helpers/s3-server.js";
import { startTestCloud } from "../helpers/server.js";

const RUNS = 200;

const home = await temporaryHome(t);
const s3 = await startS3Server();
t.teardown(() => s3.close());
s3.buckets.set("flows", new Map());
useEnvironment(t, {
  AWS_ACCESS_KEY_ID: "TESTKEY",
  AWS_SECRET_ACCESS_KEY: "testsecret",
  AWS_EC2_METADATA_DISABLED: "true",
});
const { url, token, rows } = await startTestCloud(t);
const cloud = openCloud({ url, token });
t.teardown(() => cloud.close());
const place = { bucket: "flows", prefix: "saved", endpoint: s3.url };
t.teardown(() => openObjectStore({ kind: "s3", bucket: "flows", endpoint: s3.url }).close());
const deploy = () => deployModule(fixture("hello.ts"), "Sales", { cloud, createProject: true, storage: new S3(place) });
const gets = () => s3.requests.filter((each) => each.startsWith("GET")).length;

t.test("agents that share nothing but the Cloud and a bucket run a flow that another machine deployed", async (t) => {
  const told: number[] = [];
  const file = join(t.testdir(), "where.ts");
  await writeFile(
    file,
    `import { flow, task } from "millrace";
     const whoAmI = task("who am i", () => process.pid);
     export const where = flow("where", () => whoAmI());`,
  );
  const [deployment] = await deployModule(file, "Sales", {
    cloud,
    createProject: true,
    storage: new S3(place),
    onTransfer: (done) => told.push(done),
  });
  t.same(deployment!.labels, [], "no label ties it to a machine");
  t.ok(told.length >= 1, "the way is told");
  const [row] = await rows<{ storage: string }>("SELECT storage FROM flow WHERE id = ?", deployment!.flowId);
  const key = `saved/where/${deployment!.hash}`;
  t.match(JSON.parse(row!.storage), {
    type: "S3",
    bucket: "flows",
    key,
    flows: { where: key },
    client_options: { endpoint_url: s3.url },
  });
  t.notMatch(row!.storage, /testsecret|TESTKEY/);

  // Nothing is left of the machine that deployed.
  await rm(home, { recursive: true });
  await mkdir(home);
  const before = gets();
  const homes = ["one", "two"].map((each) => join(home, each));
  for (const each of homes) {
    await mkdir(each, { recursive: true });
    await startAgentProcess(t, { url, token, labels: [], leaseMs: 30_000, threads: 1 }, { MILLRACE_HOME: each });
  }
  for (let made = 0; made < RUNS; made += 1) await cloud.createFlowRun({ flowId: deployment!.flowId });
  await eventually(async () => (await rows("SELECT id FROM flow_run WHERE state <> 'Success'")).length === 0, {
    timeoutMs: 60_000,
    everyMs: 100,
  });
  const shares = await rows<{ count: number }>(
    "SELECT count(*) AS count FROM task_run GROUP BY json_extract(serialized_state, '$._result.location')",
  );
  t.equal(shares.length, 2, "both took some");
  for (const { count } of shares) t.ok(count > RUNS / 20, `a share of ${count}`);
  t.equal(gets() - before, 2, "and each fetched the flow once");
  for (const each of homes) t.same(await readdir(join(each, "fetched")), [deployment!.hash]);
});

t.test("a flow that is deployed again is kept once, and makes no version", async (t) => {
  const [first] = await deploy();
  const [again] = await deploy();
  t.match(again, { flowId: first!.flowId, created: false, version: 1 });
  t.same([...s3.buckets.get("flows")!.keys()].filter((key) => key.includes("hello")).length, 1);
});

t.test("a run whose flow is not there, or not what was deployed, fails before its first task", async (t) => {
  const [deployment] = await deploy();
  const objects = s3.buckets.get("flows")!;
  const key = `saved/hello/${deployment!.hash}`;
  const whole = objects.get(key)!;
  const lines: string[] = [];
  const runOnce = async () => {
    const flowRunId = await cloud.createFlowRun({ flowId: deployment!.flowId });
    const agent = new LocalAgent({ cloud, labels: [], once: true, log: (line) => lines.push(line) });
    await agent.run();
    const [row] = await rows<{ state: string; state_message: string }>(
      "SELECT state, state_message FROM flow_run WHERE id = ?",
      flowRunId,
    );
    return row!;
  };
  const forget = () => rm(join(home, "fetched"), { recursive: true, force: true });
  await forget();
  objects.delete(key);
  t.match(await runOnce(), { state: "Failed", state_message: /There is no saved flow at s3:\/\/flows/ });
  objects.set(key, { ...whole, bytes: whole.bytes.subarray(0, -10), metadata: {} });
  t.match(await runOnce(), { state: "Failed", state_message: /is not the flow that was deployed/ });
  objects.set(key, whole);
  t.match(await runOnce(), { state: "Success" });
  await rm(join(home, "fetched", deployment!.hash));
  t.match(await runOnce(), { state: "Success" }, "a copy that went meanwhile is fetched again");
});

t.test("a flow's own storage is used where the deploy names none", async (t) => {
  const folder = t.testdir();
  const file = join(folder, "stored.ts");
  const options = JSON.stringify(place);
  await writeFile(
    file,
    `import { flow, S3, task } from "millrace";
     const one = task("one", () => 1);
     export const stored = flow("stored", { storage: new S3(${options}) }, () => one());`,
  );
  const [deployment] = await deployModule(file, "Sales", { cloud });
  t.match(deployment, { labels: [], savedFlow: { type: "S3" } });
  t.ok(s3.buckets.get("flows")!.has(`saved/stored/${deployment!.hash}`));
});
