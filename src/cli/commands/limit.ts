import type { Command } from "commander";
import { deleteLimit, type LimitKind, setLimit } from "../../client/limits.js";
import { type Context, group, type Host, usage, wholeNumber, withCloud, withShared } from "../command.js";
import { printable } from "../text.js";

const MOST = 2_147_483_647;
const EXAMPLE = "millrace limit task-tag database 5";

export function addLimitCommands(program: Command, host: Host): void {
  const limit = group(program, "limit", "how many runs may be under way at once", EXAMPLE);
  const add = (kind: LimitKind, what: string, argument: string, example: string) =>
    withShared(limit.command(kind).description(what), example)
      .argument(`<${argument}>`, `the ${argument}`)
      .argument("[number]", "at most so many at once; 0 pauses them", wholeNumber("The limit", 0, MOST))
      .option("--delete", "take the limit away")
      .action(
        host.action<{ delete?: boolean }, [string, number | undefined]>((context, options, name, number) =>
          change(context, kind, { name, number, remove: options.delete ?? false }),
        ),
      );
  add("task-tag", "limit the task runs whose task has a tag", "tag", EXAMPLE);
  add("flow-label", "limit the flow runs that have a label", "label", "millrace limit flow-label gpu 1");
}

async function change(
  context: Context,
  kind: LimitKind,
  { name, number, remove }: { name: string; number: number | undefined; remove: boolean },
): Promise<void> {
  const what = `${kind === "task-tag" ? "tag" : "label"} "${printable(name)}"`;
  if (remove ? number !== undefined : number === undefined) {
    throw usage(
      `millrace limit ${kind} takes a number, or --delete.`,
      `For instance: millrace limit ${kind} ${name} 5`,
    );
  }
  await withCloud(context, async (cloud) => {
    if (remove) {
      const deleted = await deleteLimit(cloud, kind, name);
      context.say(deleted ? `There is no limit for ${what} any more.` : `There was no limit for ${what}.`);
      context.answer({ kind, name, deleted });
      return;
    }
    const limitId = await setLimit(cloud, kind, name, number!);
    const run = kind === "task-tag" ? "task run" : "flow run";
    const runs = number === 1 ? run : `${run}s`;
    context.say(
      number === 0 ? `All ${runs} with ${what} are paused.` : `At most ${number} ${runs} with ${what} at once.`,
    );
    context.answer({ limitId, kind, name, limit: number });
  });
}
