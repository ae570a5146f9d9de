import type { Command } from "commander";
import type { Cloud } from "../../client/cloud.js";
import { type FlowRunRow, findFlowRun, findFlowRunsByName, isFlowRunId } from "../../client/run-reads.js";
import { stateTypes } from "../../core/state.js";
import { type Context, type Host, usage, withCloud, withShared } from "../command.js";
import { isFinishedName } from "../live-run.js";
import { stateText } from "../print.js";
import { printable } from "../text.js";

export function addCancelCommand(program: Command, host: Host): void {
  withShared(
    program.command("cancel").description("stop a flow run"),
    "millrace cancel 0193a7c2-5b1e-7c11-a2f4-0c7d3d9e8b10",
  )
    .argument("<flow run>", "its id, or its name if one run of that name has not ended")
    .action(host.action(cancel));
}

async function cancel(context: Context, _options: object, idOrName: string): Promise<void> {
  await withCloud(context, async (cloud) => {
    const { flowRunId, name, state: before } = await findRunToCancel(cloud, idOrName);
    const state = await cloud.cancelFlowRun(flowRunId);
    const what = isFinishedName(before) ? "had ended before:" : "is now";
    context.say(`Flow run ${printable(name)} ${what} ${stateText(state, context.stdout)}`);
    context.answer({ flowRunId, name, state });
  });
}

const ENDED_STATES = stateTypes.filter(isFinishedName);
/** Runs of one name that the refusal lists. */
const MAX_LISTED = 20;

/** By name, a run that has ended is meant only when no other is there. @throws USAGE, FLOW_RUN_NOT_FOUND */
async function findRunToCancel(cloud: Cloud, idOrName: string): Promise<FlowRunRow> {
  if (isFlowRunId(idOrName)) return findFlowRun(cloud, idOrName);
  const runs = await findFlowRunsByName(cloud, idOrName, { notIn: ENDED_STATES, limit: MAX_LISTED });
  if (runs.length <= 1) return runs[0] ?? findFlowRun(cloud, idOrName);
  const count = runs.length < MAX_LISTED ? String(runs.length) : `${MAX_LISTED} or more`;
  const list = runs.map((run) => `\n  ${run.flowRunId}  ${printable(run.flow)}  ${run.state ?? "no state"}`);
  throw usage(`${count} flow runs named "${idOrName}" have not ended:${list.join("")}`, "Cancel one by its id.");
}
