import t from "tap";
import { openAgentBed } from "../helpers/agent-bed.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);

t.test(
  "a flow that builds other tasks here than it did at its deploy is caught before a task runs, with the diff",
  async (t) => {
    const bed = await openAgentBed(t, home);
    const id = await bed.create("changes/made-by-environment");
    await bed.agent({ once: true, env: { ORDER_REGIONS: "north,south" } }).run();
    const run = await bed.flowRun(id);
    t.equal(run.state, "Failed");
    t.match(run.message, /added +region-2/);
    t.match(await bed.logs(id), [
      { level: "ERROR", message: /^TASK_IDS_CHANGED: [\s\S]*does not build the same way each time/ },
    ]);
    t.ok(
      (await bed.taskRuns(id)).every(
        ({ state, message }) => state === "Cancelled" && /^Not reached/.test(message ?? ""),
      ),
    );
  },
);

t.test(
  "a list of tasks in the Cloud that the saved flow has not is caught, and the Cloud's side is named",
  async (t) => {
    const bed = await openAgentBed(t, home);
    const { flowId, labels } = await bed.deploy("hello");
    const registered = (await bed.cloud.flow(flowId))!;
    const projectId = (await bed.cloud.findProject("Tests"))!;
    const { spec, storage, threadOptions } = registered;
    const tasks = spec.tasks.map((task) =>
      task.slug === "shout-1" ? { ...task, slug: "yell-1", name: "yell" } : task,
    );
    const edges = spec.edges.map((edge) => (edge.downstream === "shout-1" ? { ...edge, downstream: "yell-1" } : edge));
    const changed = { ...spec, tasks, edges, referenceTasks: ["yell-1"] };
    const other = {
      projectId,
      spec: changed,
      specHash: "another",
      storage,
      labels,
      threadOptions,
      idempotencyKey: "another",
    };
    const created = await bed.cloud.createFlow(other);
    const id = await bed.cloud.createFlowRun({ flowId: created.flowId });
    await bed.agent({ once: true }).run();
    const run = await bed.flowRun(id);
    t.equal(run.state, "Failed");
    t.match(run.message, /renamed +shout-1 +yell-1 +shout-1/);
    t.match(await bed.logs(id), [{ message: /The Cloud's list is stale/ }]);
  },
);
