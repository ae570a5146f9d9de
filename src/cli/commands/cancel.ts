import type { Command } from "commander";
import { findFlowRun } from "../../client/run-reads.js";
import { type Context, type Host, withCloud, withShared } from "../command.js";
import { isFinishedName } from "../live-run.js";
import { stateText } from "../print.js";
import { printable } from "../text.js";

export function addCancelCommand(program: Command, host: Host): void {
  withShared(
    program.command("cancel").description("stop a flow run"),
    "millrace cancel 0193a7c2-5b1e-7c11-a2f4-0c7d3d9e8b10",
  )
    .argument("<flow run>", "its id, or its name")
    .action(host.action(cancel));
}

async function cancel(context: Context, _options: object, idOrName: string): Promise<void> {
  await withCloud(context, async (cloud) => {
    const { flowRunId, name, state: before } = await findFlowRun(cloud, idOrName);
    const state = await cloud.cancelFlowRun(flowRunId);
    const what = isFinishedName(before) ? "had ended before:" : "is now";
    context.say(`Flow run ${printable(name)} ${what} ${stateText(state, context.stdout)}`);
    context.answer({ flowRunId, name, state });
  });
}
