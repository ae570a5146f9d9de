import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
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
    try {
      if (what === "deploy") await orders.deploy("Sales", { createProject: true, quiet: true });
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
