import t from "tap";
import { deployModule } from "../../src/deploy/deploy.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { eventually } from "../helpers/eventually.js";
import { fixture } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const bed = await openAgentBed(t, home);
const deployed = await deployModule(fixture("runs-flows.ts"), "Tests", { cloud: bed.cloud, createProject: true });
const flowIds = new Map(deployed.map((each) => [each.flowName, each.flowId]));
const agent = bed.agent({ labels: deployed.flatMap((each) => each.labels), threads: 4 });
await agent.start();

const create = (flowName: string) => bed.cloud.createFlowRun({ flowId: flowIds.get(flowName)! });

/** The id of the flow run that a parent's log names. */
function childOf(flowRunId: string): Promise<string> {
  return eventually(async () => {
    const lines = (await bed.logs(flowRunId)).map((each) => each.message ?? "");
    return lines.map((line) => /Waiting for flow run ([-0-9a-f]{36})/.exec(line)?.[1]).find(Boolean);
  });
}

t.test("a task runs another deployed flow and succeeds with it", async (t) => {
  const flowRunId = await create("runs flows");
  t.equal((await bed.reached(flowRunId)).state, "Success");
  const child = await bed.flowRun(await childOf(flowRunId));
  t.match(child, { state: "Success", name: "a greeting" });
  t.same((await bed.taskRuns(child.flowRunId)).find((each) => each.taskSlug === "greet-1")?.state, "Success");
});

t.test("it fails with it, and names it", async (t) => {
  const flowRunId = await create("runs failing");
  t.equal((await bed.reached(flowRunId)).state, "Failed");
  const child = await childOf(flowRunId);
  const [run] = await bed.taskRuns(flowRunId);
  t.match(run, { state: "Failed", message: new RegExp(`Flow run ${child} of flow "fails" ended Failed`) });
});

t.test("cancelled, it cancels it", async (t) => {
  const flowRunId = await create("runs lasting");
  const child = await childOf(flowRunId);
  await bed.reached(child, "Running");
  await bed.cloud.cancelFlowRun(flowRunId);
  t.equal((await bed.reached(flowRunId)).state, "Cancelled");
  t.equal((await bed.reached(child)).state, "Cancelled");
});
