import t from "tap";
import { addSecondTenant } from "../helpers/second-tenant.js";
import {
  deployFlow,
  flowState,
  refusalOf,
  startTestCloud,
  TestAgent,
  taskRunStates,
  taskState,
} from "../helpers/server.js";

const cloud = await startTestCloud(t);
const theirs = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");

t.test(
  "another tenant can neither resume a paused task nor see a cached result, whatever ids and keys it knows",
  async (t) => {
    const { flowId } = await deployFlow(cloud, { tasks: ["a-1", "b-1"] });
    const agent = await TestAgent.register(cloud);
    await cloud.call("create_flow_run", { flow_id: flowId });
    const run = await agent.claimOne();
    const cached = { ...taskState(run, "b-1", "Cached", 3), state: { type: "Cached", message: "mine" } };
    const paused = { ...taskState(run, "a-1", "Paused", 2), state: { type: "Paused", start_time: null } };
    const { refused } = await agent.report(run, [
      flowState("Running"),
      taskState(run, "a-1", "Running", 1),
      paused,
      taskState(run, "b-1", "Running", 1),
      taskState(run, "b-1", "Success", 2),
      cached,
    ]);
    t.strictSame(refused, []);
    await cloud.server.database.write((transaction) => transaction.run("UPDATE task_run SET cache_key = 'k'"));

    const task_run_id = run.task_runs.find((each) => each.task_slug === "a-1")!.id;
    t.match(await refusalOf(cloud.call("resume_task_run", { task_run_id }, theirs)), {
      code: "INPUT_INVALID",
      message: `There is no task run ${task_run_id}.`,
    });
    t.match(await taskRunStates(cloud, run.flow_run_id), { "a-1": "Paused" });

    for (const cache_key of [null, "k"]) {
      const input = { flow_id: flowId, task_slug: "b-1", cache_key, since: "2026-11-23T10:00:00.000Z" };
      const query = "query($input: cached_states_input!) { cached_states(input: $input) }";
      t.match((await cloud.ask(query, { input })).body.data, { cached_states: [{ message: "mine" }] });
      t.strictSame((await cloud.ask(query, { input }, theirs)).body.data, { cached_states: [] });
    }
  },
);
