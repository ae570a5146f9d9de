import t from "tap";
import { type Asked, answerQuestion } from "../../src/agent/answer-questions.js";
import type { HostQuestion } from "../../src/threads/messages.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";

const bed = await openAgentBed(t, await temporaryHome(t), { killable: true });
const flow = await bed.deploy("hello");

/** What a run of that flow has at hand, and how often the Cloud was asked for a flow run's state. */
function asking() {
  const over = new AbortController();
  const looks = { count: 0 };
  const { cloud } = bed;
  const counting: Asked["cloud"] = {
    cachedStates: (question) => cloud.cachedStates(question),
    cancelFlowRun: (flowRunId) => cloud.cancelFlowRun(flowRunId),
    createFlowRun: (run) => cloud.createFlowRun(run),
    latestFlow: (project, name) => cloud.latestFlow(project, name),
    query: (document, variables) => cloud.query(document, variables),
    flowRunState(flowRunId) {
      looks.count += 1;
      return cloud.flowRunState(flowRunId);
    },
  };
  const asked: Asked = { cloud: counting, flowId: flow.flowId, signal: over.signal, made: new Set() };
  return { asked, over, looks };
}

const create = (idempotencyKey: string): HostQuestion => ({
  about: "create flow run",
  flowName: flow.flowName,
  project: "Tests",
  parameters: {},
  runName: null,
  labels: ["nobody has this"],
  idempotencyKey,
});

t.test("a run may ask of the flow runs that it made, and of no others", async (t) => {
  const others = await bed.create("hello");
  const { asked } = asking();
  const refused = { code: "FLOW_RUN_NOT_FOUND", message: `This run has made no flow run ${others}.` };
  await t.rejects(answerQuestion({ about: "cancel flow run", flowRunId: others }, asked), refused);
  await t.rejects(answerQuestion({ about: "flow run's end", flowRunId: others, waitMs: 0 }, asked), refused);
  t.equal((await bed.flowRun(others)).state, "Scheduled");

  const own = String(await answerQuestion(create("own"), asked));
  t.equal(await answerQuestion({ about: "flow run's end", flowRunId: own, waitMs: 0 }, asked), null);
  await answerQuestion({ about: "cancel flow run", flowRunId: own }, asked);
  t.match(await answerQuestion({ about: "flow run's end", flowRunId: own, waitMs: 0 }, asked), {
    state: { type: "Cancelled" },
  });
});

t.test("a run that was made before another agent took its maker up is known again once it is asked for", async (t) => {
  const own = await answerQuestion(create("twice"), asking().asked);
  const { asked } = asking();
  t.equal(await answerQuestion(create("twice"), asked), own);
  t.equal(await answerQuestion({ about: "flow run's end", flowRunId: String(own), waitMs: 0 }, asked), null);
});

t.test("nobody looks for the end of a flow run once the run that asked is over", async (t) => {
  const { asked, over, looks } = asking();
  const flowRunId = String(await answerQuestion(create("left"), asked));
  const end = answerQuestion({ about: "flow run's end", flowRunId, waitMs: Number.MAX_SAFE_INTEGER }, asked);
  await eventually(() => looks.count > 1);
  over.abort();
  t.equal(await end, null);
});

t.test("a Cloud that is away is asked again until it is back", async (t) => {
  const { asked } = asking();
  const flowRunId = String(await answerQuestion(create("away"), asked));
  await bed.killServer();
  const end = answerQuestion({ about: "flow run's end", flowRunId, waitMs: 0 }, asked);
  const failed = await Promise.race([end.catch(() => true), bed.cloud.flow(flow.flowId).catch(() => false)]);
  t.equal(failed, false, "another question has failed meanwhile");
  await bed.restartServer();
  t.equal(await end, null);
});

t.test("a question that nobody waits for any more is given up with the Cloud away", async (t) => {
  const { asked, over } = asking();
  await bed.killServer();
  const end = answerQuestion(create("given up"), asked);
  over.abort();
  await t.rejects(end, { code: "CLOUD_UNREACHABLE" });
  await bed.restartServer();
});
