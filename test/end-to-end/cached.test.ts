import { readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { deployModule } from "../../src/deploy/deploy.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { fixture } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const bed = await openAgentBed(t, home);
const deployed = await deployModule(fixture("caches-results.ts"), "Tests", { cloud: bed.cloud, createProject: true });
const flowIds = new Map(deployed.map((each) => [each.flowName, each.flowId]));
// What the agent knows of earlier runs, it asks the Cloud.
const agent = bed.agent({ labels: deployed.flatMap((each) => each.labels), threads: 2 });
await agent.start();

interface Ended {
  /** Of the task that may be cached. */
  state: string;
  message: string | null;
  /** Tells one run of its code from another. */
  id: string;
}

async function end(flowName: string, taskSlug: string, parameters: Record<string, unknown> = {}): Promise<Ended> {
  const flowRunId = await bed.cloud.createFlowRun({ flowId: flowIds.get(flowName)!, parameters });
  t.equal((await bed.reached(flowRunId)).state, "Success");
  const known = await bed.taskRuns(flowRunId);
  const { state, message } = known.find((each) => each.taskSlug === taskSlug)!;
  const { task_run } = await bed.cloud.query<{ task_run: { serialized_state: { _result: { location: string } } }[] }>(
    `query ($run: UUID) { task_run(where: { flow_run_id: { _eq: $run }, task: { slug: { _eq: "show-1" } } }) { serialized_state } }`,
    { run: flowRunId },
  );
  return { state: state!, message, id: JSON.parse(task_run[0]!.serialized_state._result.location) as string };
}

t.test("the Cloud remembers results from run to run, for the same inputs in any order", async (t) => {
  const first = await end("caches results", "load-1", { day: "monday" });
  t.equal(first.state, "Cached");
  t.equal(first.message, "Task run succeeded.");
  const second = await end("caches results", "load-1", { size: 1, day: "monday" });
  t.match(second, { state: "Cached", message: /^Cached result of / });
  t.equal(second.id, first.id);
  t.not((await end("caches results", "load-1", { day: "tuesday" })).id, first.id);
});

t.test("a cached result whose file is gone is not used", async (t) => {
  const first = await end("caches results", "load-1", { day: "friday" });
  await rm(join(home, "results"), { recursive: true });
  t.not((await end("caches results", "load-1", { day: "friday" })).id, first.id);
});

t.test("flows share what has one cache key", async (t) => {
  const first = await end("shares one", "rates-1");
  t.equal((await end("shares two", "prices-1")).id, first.id);
});

t.test("a target stands for its task in every later run", async (t) => {
  const first = await end("has target", "make-1", { day: "monday" });
  t.equal(first.state, "Success");
  t.same(JSON.parse(await readFile(join(home, "results", "made", "monday.json"), "utf8")), { id: first.id });
  t.same(await end("has target", "make-1", { day: "monday" }), {
    state: "Cached",
    message: "Result found at task target made/monday.json",
    id: first.id,
  });
  t.not((await end("has target", "make-1", { day: "tuesday" })).id, first.id);
});
