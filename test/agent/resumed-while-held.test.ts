import t from "tap";
import { openAgentBed } from "../helpers/agent-bed.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";

const bed = await openAgentBed(t, await temporaryHome(t));

t.test(
  "a task that is resumed before its pause is over, while its thread still holds the run, goes on with what it was given",
  async (t) => {
    const flowRunId = await bed.create("pauses-briefly");
    await bed.agent().start();
    const paused = await eventually(async () =>
      (await bed.taskRuns(flowRunId)).find((each) => each.state === "Paused"),
    );
    await bed.cloud.resumeTaskRun(paused.taskRunId, { input: "yes" });
    const run = await bed.reached(flowRunId);
    t.equal(run.state, "Success");
    t.ok((await bed.logs(flowRunId)).some((line) => line.message === 'it said "yes"'));
  },
);
