import t from "tap";
import { deployFlow, flowState, startTestCloud, TestAgent, taskState } from "../helpers/server.js";

const since = "2026-01-01T00:00:00.000Z";

t.test("cached states are found by their task, or by the key that tasks share, the newest first", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud, { tasks: ["a-1"] });
  const other = await deployFlow(cloud, { name: "bills", tasks: ["a-1"] });
  const agent = await TestAgent.register(cloud);
  const ask = async (input: Record<string, unknown>) => {
    const { body } = await cloud.ask("query($input: cached_states_input!) { cached_states(input: $input) }", { input });
    return (body.data!.cached_states as { message: string }[]).map((state) => state.message);
  };
  for (const [flow, message, at] of [
    [flowId, "first", "2026-11-23T10:00:01.000Z"],
    [flowId, "second", "2026-11-23T10:00:02.000Z"],
    [other.flowId, "another flow's", "2026-11-23T10:00:03.000Z"],
  ] as const) {
    await cloud.call("create_flow_run", { flow_id: flow });
    const run = await agent.claimOne();
    const cached = { ...taskState(run, "a-1", "Cached", 3), at };
    cached.state = { type: "Cached", message };
    const { refused } = await agent.report(run, [
      flowState("Running"),
      taskState(run, "a-1", "Running", 1),
      taskState(run, "a-1", "Success", 2),
      cached,
      flowState("Success"),
    ]);
    t.strictSame(refused, []);
  }
  t.strictSame(await ask({ flow_id: flowId, task_slug: "a-1", since }), ["second", "first"]);
  t.strictSame(await ask({ flow_id: flowId, task_slug: "a-1", since: "2026-11-23T10:00:02.000Z" }), ["second"]);
  t.strictSame(await ask({ flow_id: flowId, task_slug: "no such task", since }), []);
  t.strictSame(await ask({ flow_id: flowId, task_slug: "a-1", cache_key: "k", since }), [], "no task has that key");
  await cloud.server.database.write((transaction) => transaction.run("UPDATE task_run SET cache_key = 'k'"));
  t.strictSame(await ask({ flow_id: flowId, task_slug: "a-1", cache_key: "k", since }), [
    "another flow's",
    "second",
    "first",
  ]);
});
