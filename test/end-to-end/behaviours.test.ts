import t from "tap";
import type { StateType } from "../../src/core/state.js";
import { deployModule } from "../../src/deploy/deploy.js";
import { saveModule } from "../../src/deploy/save.js";
import type { Flow } from "../../src/flow.js";
import { loadFlow } from "../../src/load-flow.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";
import { expectedBehaviours } from "./expected-behaviours.js";

/** A run's end: the flow run's state, and each task run's by `slug` or `slug[index]`. */
interface End {
  flowRun: StateType;
  taskRuns: Record<string, string>;
}

const home = await temporaryHome(t);
const bed = await openAgentBed(t, home);
const nameOf = (slug: string, mapIndex: number): string => (mapIndex < 0 ? slug : `${slug}[${mapIndex}]`);

/** Without a Cloud. A task run that was not reached has no state there; for the Cloud it is Pending. */
async function runHere(flow: Flow): Promise<End> {
  const taskRuns = Object.fromEntries(flow.definition.tasks.map(({ slug }) => [slug, "Pending"]));
  const run = await flow.run(
    {},
    {
      log: () => {},
      onState({ taskSlug, mapIndex, state }) {
        if (taskSlug !== null) taskRuns[nameOf(taskSlug, mapIndex)] = state.type;
      },
    },
  );
  return { flowRun: run.state.type, taskRuns };
}

/** Through the Cloud and an agent's worker threads. */
async function runThere(flowId: string, expected: StateType): Promise<End> {
  const flowRunId = await bed.cloud.createFlowRun({ flowId });
  if (expected === "Running") {
    await eventually(async () => (await bed.taskRuns(flowRunId)).some((each) => each.state === "Paused"));
  } else {
    await bed.reached(flowRunId);
  }
  const { state } = await bed.flowRun(flowRunId);
  const taskRuns = (await bed.taskRuns(flowRunId)).map(
    (each) => [nameOf(each.taskSlug, each.mapIndex), each.state ?? "Pending"] as const,
  );
  return { flowRun: state as StateType, taskRuns: Object.fromEntries(taskRuns) };
}

const fileOf = (module: string): string =>
  new URL(`../../../fixtures/behaviours/${module}.ts`, import.meta.url).pathname;
const modules = Object.entries(expectedBehaviours);
const flowIds = new Map<string, string>();
const labels = new Set<string>();
for (const [module] of modules) {
  for (const deployed of await deployModule(fileOf(module), "Behaviours", { cloud: bed.cloud, createProject: true })) {
    flowIds.set(deployed.flowName, deployed.flowId);
    for (const label of deployed.labels) labels.add(label);
  }
}
const agent = bed.agent({ labels: [...labels], threads: 6 });
await agent.start();

for (const [module, flows] of modules) {
  t.test(`${module}: the same without a Cloud and through an agent`, async (t) => {
    const defined = await Promise.all(
      (await saveModule(fileOf(module))).map(({ location }) => loadFlow(location.location)),
    );
    t.same(defined.map(({ name }) => name).sort(), Object.keys(flows).sort(), "every flow has its expectation");
    await Promise.all(
      defined.map(async (flow) => {
        const [flowRun, taskRuns] = flows[flow.name]!;
        const [here, there] = await Promise.all([runHere(flow), runThere(flowIds.get(flow.name)!, flowRun)]);
        t.same(there, here, `${flow.name}: both ways alike`);
        const wanted = taskRuns
          .split(", ")
          .map((each) => [each.slice(0, each.lastIndexOf(" ")), each.slice(each.lastIndexOf(" ") + 1)] as const);
        t.equal(here.flowRun, flowRun, `${flow.name}: the flow run`);
        t.match(here.taskRuns, Object.fromEntries(wanted), `${flow.name}: its task runs`);
      }),
    );
  });
}
