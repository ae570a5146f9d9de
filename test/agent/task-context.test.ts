import t from "tap";
import { openAgentBed } from "../helpers/agent-bed.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);

t.test("a task under an agent knows its flow, its project and the day that its run was made for", async (t) => {
  const bed = await openAgentBed(t, home);
  const { flowId } = await bed.deploy("tells-context");
  const told = async (context: Record<string, unknown>): Promise<Record<string, unknown>> => {
    const { create_flow_run } = await bed.cloud.query<{ create_flow_run: { id: string } }>(
      "mutation ($input: create_flow_run_input!) { create_flow_run(input: $input) { id } }",
      {
        input: {
          flow_id: flowId,
          flow_run_name: "by hand",
          scheduled_start_time: "2026-01-02T23:30:00.000Z",
          context,
        },
      },
    );
    const flowRunId = create_flow_run.id;
    await bed.agent({ once: true }).run();
    t.equal((await bed.flowRun(flowRunId)).state, "Success");
    const [line] = await bed.logs(flowRunId);
    return JSON.parse(line!.message!) as Record<string, unknown>;
  };
  t.match(await told({}), {
    flowId,
    flowRunName: "by hand",
    projectName: "Tests",
    runningUnderCloud: true,
    scheduledStartAt: "2026-01-02T23:30:00.000Z",
    taskFullName: "tell[0]",
    dates: { today: "2026-01-02", tomorrowNodash: "20260103" },
  });
  t.match(
    await told({ date: "2025-05-05T10:00:00Z" }),
    { scheduledStartAt: "2026-01-02T23:30:00.000Z", dates: { today: "2025-05-05", yesterday: "2025-05-04" } },
    "a `date` in the run's context re-bases its dates",
  );
});
