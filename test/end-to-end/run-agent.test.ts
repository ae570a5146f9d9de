import { readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import t from "tap";
import { openCloud } from "../../src/client/cloud-client.js";
import { startServer } from "../../src/server/server.js";
import { fixture, runProgram, userProject } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const server = await startServer({ database: join(home, "cloud.db"), port: 0, log: () => {} });
t.teardown(() => server.close());
process.env.MILLRACE_API_URL = server.url;
process.env.MILLRACE_API_TOKEN = server.token!;

const folder = await userProject(t, {
  "call.ts": `
    import { orders } from "./orders.ts";
    const [what, options] = [process.argv[2]!, JSON.parse(process.argv[3] ?? "{}")];
    // runProgram() shows what a program prints on its standard output.
    if (options.tellStderr) process.stderr.write = process.stdout.write.bind(process.stdout);
    try {
      if (what === "deploy") await orders.deploy("Sales", { createProject: true, quiet: true, ...options });
      else await orders.runAgent({ once: true, quiet: true, ...options });
      console.log("done");
    } catch (error) {
      const { code, message, details } = error as { code: string; message: string; details?: { rows: { kind: string }[] } };
      console.log([code, message.split("\\n")[0], ...(details?.rows ?? []).map((row) => row.kind)].join(" | "));
    }`,
});

/** Makes the user's file one of the fixtures. */
const edit = async (name: string) =>
  writeFile(join(folder, "orders.ts"), await readFile(fixture(join("changes", `${name}.ts`)), "utf8"));
const cloud = openCloud({ url: server.url, token: server.token! });
t.teardown(() => cloud.close());
const call = (what: string, options = {}) => runProgram(folder, "call.ts", what, JSON.stringify(options));

t.test("runAgent() is refused for a flow that was never deployed", async (t) => {
  await edit("deployed");
  t.match(await call("runAgent"), /^FLOW_NOT_DEPLOYED \| Flow "orders" was never deployed to http/);
});

t.test("runAgent() works for the flow that was deployed, and is refused for one that was changed since", async (t) => {
  await edit("deployed");
  t.equal(await call("deploy"), "done");
  t.equal(await call("runAgent"), "done");
  const changes: [string, RegExp][] = [
    ["renamed", /renamed/],
    ["added", /added/],
    ["removed", /removed/],
    ["rewired", /rewired/],
    ["body-changed", /body changed/],
  ];
  for (const [name, kind] of changes) {
    await edit(name);
    const refusal = await call("runAgent");
    t.match(
      refusal,
      /^TASK_IDS_CHANGED \| Flow "orders" is not the same in the Cloud \(version 1\) and this process/,
      name,
    );
    t.match(refusal, kind, name);
  }
});

t.test("runAgent({ redeploy: true }) deploys what was changed and goes on", async (t) => {
  await edit("renamed");
  t.equal(await call("runAgent", { redeploy: true }), "done");
  t.equal(await call("runAgent"), "done");
});

t.test("runAgent() names the project in which it did not find the flow", async (t) => {
  t.match(await call("runAgent", { project: "Nowhere" }), /^FLOW_NOT_DEPLOYED .* in project "Nowhere"/);
});

t.test("runAgent() says which labels it does not carry, and a redeployment keeps them", async (t) => {
  await edit("deployed");
  t.equal(await call("deploy", { labels: ["gpu", "tall"] }), "done");
  const labels = [hostname(), "gpu", "orders", "tall"].sort();
  t.same((await cloud.latestFlow("Sales", "orders"))?.labels, labels);
  const said = await call("runAgent", { quiet: false, tellStderr: true });
  t.match(said, /^Warning: runs of flow "orders" need the labels "gpu", "tall", which this agent does not carry/m);
  t.equal(said.split("Warning").length, 2, "once");
  await edit("renamed");
  t.equal(await call("runAgent", { redeploy: true }), "done");
  const redeployed = await cloud.latestFlow("Sales", "orders");
  t.same(redeployed?.labels, labels);
  t.equal(await call("deploy"), "done");
  t.notMatch(await call("runAgent", { quiet: false, tellStderr: true }), /Warning/, "nothing to warn of");
});
