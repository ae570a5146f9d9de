import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { millrace, type Running, startMillrace } from "../helpers/command-line.js";
import { eventually } from "../helpers/eventually.js";

/** More than a pipe takes: a task that waits for each of its writes hangs when nobody takes them. */
const CHUNKS = 200;
const home = t.testdir({
  "goes-on.ts": `import { existsSync, writeFileSync } from "node:fs";
import { flow, task, taskContext } from "millrace";
const prints = task("prints", async () => {
  const { logger } = taskContext();
  logger.info("begun");
  while (!existsSync("reader-gone")) await new Promise((resolve) => setTimeout(resolve, 5));
  for (let i = 0; i < 50; i++) {
    logger.info("line", i);
    console.log("own line", i);
  }
  await new Promise((resolve) => setTimeout(resolve, 20));
  writeFileSync("finished", "yes");
  throw new Error("out of luck");
});
export const goesOn = flow("goes-on", () => prints());`,
  "fills.ts": `import { existsSync } from "node:fs";
import { flow, task } from "millrace";
const fills = task("fills", async () => {
  const line = "x".repeat(10_000) + "\\n";
  for (let left = ${CHUNKS}; left > 0; left -= existsSync("agent-reader-gone") ? 1 : 0) await new Promise((resolve) => process.stdout.write(line, resolve));
});
export const filling = flow("filling", () => fills());`,
  "loud.ts": `import { stdout } from "node:process";
import { flow, task } from "millrace";
console.log("loading");
const speaks = task("speaks", () => {
  console.log("task speaks");
  process.stdout.write("by the stream\\n");
  stdout.write("by the import\\n");
  return 1;
});
export const loud = flow("loud", () => speaks());`,
});
const spoken = ["task speaks", "by the stream", "by the import"];

/** Closes the reading end, as `head` does when it has had enough. */
function stopReading(running: Running): void {
  running.child.stdout?.destroy();
}

t.test("a run whose reader has gone is finished, and its exit code is its own", async (t) => {
  const running = startMillrace(["run", join(home, "goes-on.ts")], { home });
  t.teardown(() => running.stop("SIGKILL"));
  await running.printed("begun");
  stopReading(running);
  writeFileSync(join(home, "reader-gone"), "");
  const { code, stderr } = await running.ended;
  t.equal(code, 1, stderr);
  t.equal(stderr, "");
  t.equal(readFileSync(join(home, "finished"), "utf8"), "yes");
});

t.test("a Cloud and an agent whose readers have gone do their work to the end", async (t) => {
  const cloud = startMillrace(["server", "start", "--port", "0"], { home });
  t.teardown(() => cloud.stop("SIGKILL"));
  await cloud.printed("is kept in the login file");
  stopReading(cloud);
  const deployed = await millrace(["deploy", join(home, "fills.ts"), "--project", "P", "--create-project"], { home });
  t.equal(deployed.code, 0, deployed.stderr);
  await millrace(["run", "--name", "filling", "--project", "P"], { home });
  const agent = startMillrace(["agent", "start", "local", "-l", "filling"], { home });
  t.teardown(() => agent.stop("SIGKILL"));
  // From here on the thread's output is the first to meet no reader.
  await agent.printed("xxx");
  stopReading(agent);
  writeFileSync(join(home, "agent-reader-gone"), "");
  const isDone = async () => /filling +Success/.test((await millrace(["get", "flow-runs"], { home })).stdout);
  await eventually(isDone, { everyMs: 200, timeoutMs: 20_000 });
  t.match(await agent.stop("SIGTERM"), { code: 0, stderr: /is stopping/ });
  t.match(await cloud.stop("SIGTERM"), { code: 0, stderr: /is stopping/ });
});

t.test("under --json what a flow prints goes to standard error", async (t) => {
  const { code, stdout, stderr } = await millrace(["run", join(home, "loud.ts"), "--json"], { home });
  t.equal(code, 0, stderr);
  t.match(JSON.parse(stdout), { state: "Success", output: 1 });
  for (const line of ["loading", ...spoken]) t.match(stderr, line);
});

t.test("without --json it stays where the flow put it", async (t) => {
  const { stdout, stderr } = await millrace(["run", join(home, "loud.ts")], { home });
  for (const line of ["loading", ...spoken]) t.match(stdout, line);
  t.equal(stderr, "");
});

t.test("under --json what flows print in worker threads goes to standard error too", async (t) => {
  const own = t.testdir();
  await startCloudProcess(t, own);
  const deploy = ["deploy", join(home, "loud.ts"), "--project", "P", "--create-project", "--json"];
  const deployed = await millrace(deploy, { home: own });
  t.match(JSON.parse(deployed.stdout), [{ flowName: "loud" }]);
  await millrace(["run", "--name", "loud", "--project", "P"], { home: own });
  const { code, stdout, stderr } = await millrace(["agent", "start", "local", "-l", "loud", "--once", "--json"], {
    home: own,
  });
  t.equal(code, 0, stderr);
  t.match(JSON.parse(stdout), { name: "agent", labels: /loud/ });
  for (const line of spoken) t.match(stderr, line);
});
