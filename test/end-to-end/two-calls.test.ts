/**
 * A user's file with the two calls, unchanged, in a folder of its own: ESM and CJS, TypeScript and JavaScript, with npm
 * packages, JSON and neighbours, against a server started by the command line.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import t, { type Test } from "tap";
import { openCloud } from "../../src/client/cloud-client.js";
import { resolveCloud } from "../../src/client/config.js";
import { eventually } from "../helpers/eventually.js";
import { flowHistoryOnce } from "../helpers/flow-history.js";
import { temporaryHome } from "../helpers/home.js";

const PACKAGE_ROOT = fileURLToPath(new URL("../../..", import.meta.url));

const home = await temporaryHome(t);
await startServer();
const cloud = openCloud(resolveCloud({}));
t.teardown(() => cloud.close());
await cloud.createProject("Sales");

/** `millrace server start`, as a user types it; its first start logs this home in. */
async function startServer(): Promise<void> {
  const child = spawn(
    process.execPath,
    [join(PACKAGE_ROOT, "bin/millrace.cjs"), "server", "start", "--port", "0", "--json"],
    {
      stdio: ["ignore", "pipe", "inherit"],
    },
  );
  t.teardown(() => end(child));
  await once(createInterface({ input: child.stdout }), "line");
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}

/** A project as a user has it: its own package.json, an npm package, and millrace installed. */
function makeProject(name: string, type: "module" | "commonjs", files: Record<string, string>): string {
  const folder = join(home, "projects", name);
  mkdirSync(join(folder, "node_modules", "left-side"), { recursive: true });
  symlinkSync(PACKAGE_ROOT, join(folder, "node_modules", "millrace"), "dir");
  const pad = { name: "left-side", version: "1.0.0", main: "index.js" };
  writeFileSync(join(folder, "node_modules/left-side/package.json"), JSON.stringify(pad));
  writeFileSync(join(folder, "node_modules/left-side/index.js"), "module.exports = (text) => '<' + text;");
  writeFileSync(join(folder, "package.json"), JSON.stringify({ name, type }));
  for (const [file, text] of Object.entries({ ...files, "words.json": '{ "greeting": "hello" }' })) {
    mkdirSync(join(folder, file, ".."), { recursive: true });
    writeFileSync(join(folder, file), text);
  }
  return folder;
}

/** Runs the file with plain `node`, asks for a run once its agent waits, and looks at what the Cloud has of it. */
async function runFile(t: Test, folder: string, file: string, flowName: string): Promise<void> {
  const child = spawn(process.execPath, [file], { cwd: folder, stdio: ["ignore", "pipe", "pipe"] });
  t.teardown(() => end(child));
  let output = "";
  for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (output += String(chunk)));
  await eventually(
    () => {
      if (child.exitCode !== null) throw new Error(`the file ended with ${child.exitCode}`);
      return output.includes("waits for runs");
    },
    { message: "the agent" },
  ).catch((error: Error) => {
    throw new Error(`${error.message}\n${output}`);
  });

  const flow = (await cloud.latestFlow("Sales", flowName))!;
  const flowRunId = await cloud.createFlowRun({ flowId: flow.flowId, parameters: { name: "Ada" } });
  const history = await eventually(() => flowHistoryOnce(cloud, flowRunId, ["Success", "Failed"]));
  t.equal(history.state, "Success", history.message ?? "");
  const [result] = (
    await cloud.query<{ task_run: { serialized_state: { _result: { location: string } } }[] }>(
      `query ($id: UUID!) { task_run(where: { flow_run_id: { _eq: $id }, task: { name: { _eq: "greet" } } }) { serialized_state } }`,
      { id: flowRunId },
    )
  ).task_run;
  t.equal(JSON.parse(result!.serialized_state._result.location), "<hello, Ada!");
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  t.same(await exited, [0, null], "SIGTERM ends it without fuss");
  t.equal(output.split("was reached").length - 1, 1, "what stands behind runAgent() ran here, and in no worker");
  t.equal(output.split("deployed in project").length - 1, 1, "deploy() acted once, in the author's process only");
}

const body = (flowName: string) => `
const exclaim = (text) => addMark(text);
const greet = task("greet", (name) => pad(exclaim(words.greeting + ", " + name)));
const hello = flow("${flowName}", () => greet(parameter("name")));
`;
const esmImports = `import { flow, parameter, task } from "millrace";
import pad from "left-side";
import words from "./words.json" with { type: "json" };
`;
const cjsImports = `const { flow, parameter, task } = require("millrace");
const pad = require("left-side");
const words = require("./words.json");
const { addMark } = require("./near/neighbour.js");
`;
const esmCalls = `
await hello.deploy("Sales");
await hello.runAgent();
console.log("was reached");
`;

t.test("ESM JavaScript", async (t) => {
  const folder = makeProject("esm-js", "module", {
    "near/neighbour.js": "export const addMark = (text) => text + '!';",
    "flows/orders.js": "export {};",
    "orders.js": `${esmImports}import { addMark } from "./near/neighbour.js";\n${body("esm js")}${esmCalls}`,
  });
  await runFile(t, folder, "orders.js", "esm js");
});

t.test("ESM TypeScript, started from another folder", async (t) => {
  const folder = makeProject("esm-ts", "module", {
    "near/neighbour.ts": "export const addMark = (text: string): string => text + '!';",
    "orders.ts": `${esmImports}import { addMark } from "./near/neighbour.ts";
const greet = task("greet", (name: string): string => pad(addMark(words.greeting + ", " + name)));
export const hello = flow("esm ts", () => greet(parameter<string>("name")));${esmCalls}`,
  });
  await runFile(t, home, join(folder, "orders.ts"), "esm ts");
});

t.test("CJS JavaScript", async (t) => {
  const folder = makeProject("cjs-js", "commonjs", {
    "near/neighbour.js": "exports.addMark = (text) => text + '!';",
    "orders.js": `${cjsImports}${body("cjs js")}
hello.deploy("Sales").then(() => hello.runAgent()).then(() => console.log("was reached"));`,
  });
  await runFile(t, folder, "orders.js", "cjs js");
});

t.test("CJS TypeScript, with a main function", async (t) => {
  const folder = makeProject("cjs-ts", "commonjs", {
    "near/neighbour.js": "exports.addMark = (text) => text + '!';",
    "orders.cts": `${cjsImports}
const greet = task("greet", (name: string): string => pad(addMark(words.greeting + ", " + name)));
const hello = flow("cjs ts", () => greet(parameter("name")));
async function main(): Promise<void> {
  await hello.deploy("Sales");
  await hello.runAgent();
  console.log("was reached");
}
void main();`,
  });
  await runFile(t, folder, "orders.cts", "cjs ts");
});
