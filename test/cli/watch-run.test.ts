import { join } from "node:path";
import t from "tap";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { millrace, startMillrace } from "../helpers/command-line.js";

const files = {
  "waits.ts": `import { flow, task } from "millrace";
const waits = task("waits", () => 1);
export const patient = flow("patient", () => waits());`,
};
const deploy = (home: string) =>
  millrace(["deploy", join(home, "waits.ts"), "--project", "P", "--create-project"], { home });

t.test("watching outlives a restart of the Cloud, and says once that it does not answer", async (t) => {
  const home = t.testdir(files);
  const { running, url } = await startCloudProcess(t, home);
  t.match(await deploy(home), { code: 0 });
  const watching = startMillrace(["run", "--name", "patient", "--project", "P", "--watch"], { home });
  t.teardown(() => watching.stop("SIGKILL"));
  await watching.printed(/Scheduled +Flow run/);

  await running.stop("SIGKILL");
  await watching.printed(`The Cloud at ${url} does not answer.`);
  t.equal(watching.child.exitCode, null);
  const again = startMillrace(["server", "start", "--port", new URL(url).port], { home });
  t.teardown(() => again.stop("SIGKILL"));
  await again.printed("The Cloud is at");
  const { stdout } = await millrace(["get", "flow-runs", "--json"], { home });
  const [run] = JSON.parse(stdout) as { flowRunId: string }[];
  t.match(await millrace(["cancel", run?.flowRunId ?? ""], { home }), { code: 0 });
  const { code, stdout: shown, stderr } = await watching.ended;
  t.equal(code, 1, stderr);
  t.match(shown, /Flow run \S+ is Cancelled/);
  t.equal(shown.match(/does not answer/g)?.length, 1);
});

t.test("Ctrl-C ends the watching of a Cloud that does not answer; the run is said to go on", async (t) => {
  const home = t.testdir(files);
  const { running } = await startCloudProcess(t, home);
  t.match(await deploy(home), { code: 0 });
  const watching = startMillrace(["run", "--name", "patient", "--project", "P", "--watch"], { home });
  t.teardown(() => watching.stop("SIGKILL"));
  await watching.printed(/Scheduled +Flow run/);
  await running.stop("SIGKILL");
  await watching.printed("does not answer");
  t.match(await watching.stop("SIGINT"), { code: 1, stderr: /The run goes on/ });
});
