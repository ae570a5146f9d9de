import type { Command } from "commander";
import { newestFlowId, setScheduleActive } from "../../client/limits.js";
import { MillraceError } from "../../core/errors.js";
import { type Context, group, type Host, withCloud, withShared } from "../command.js";
import { printable } from "../text.js";

interface Options {
  name: string;
  project?: string;
}

export function addScheduleCommands(program: Command, host: Host): void {
  const example = (word: string) => `millrace schedule ${word} --name orders --project Sales`;
  const schedule = group(program, "schedule", "turn a flow's schedule on and off", example("off"));
  for (const [word, what, active] of [
    ["on", "make runs by the flow's schedule, from now on", true],
    ["off", "make no more runs by the flow's schedule; those that wait are deleted", false],
  ] as const) {
    withShared(schedule.command(word).description(what), example(word))
      .requiredOption("--name <flow>", "the flow")
      .option("--project <name>", "its project")
      .action(host.action<Options, []>((context, options) => turn(context, options, active)));
  }
}

async function turn(context: Context, { name, project }: Options, active: boolean): Promise<void> {
  await withCloud(context, async (cloud) => {
    const flowId = await newestFlowId(cloud, project, name);
    if (flowId === undefined) {
      throw new MillraceError(
        "FLOW_NOT_DEPLOYED",
        `There is no flow "${name}"${project === undefined ? "" : ` in project "${project}"`}.`,
        {
          hint: "`millrace get flows` lists them.",
        },
      );
    }
    if (!(await setScheduleActive(cloud, flowId, active))) {
      throw new MillraceError("INPUT_INVALID", `Flow "${name}" has no schedule.`, {
        hint: "Give it one, and deploy it.",
      });
    }
    context.say(`The schedule of flow ${printable(name)} is ${active ? "on" : "off"}.`);
    context.answer({ flowId, name, active });
  });
}
