import type { Command } from "commander";
import { whyNoRuns, whyWaiting } from "../../client/limits.js";
import { findFlowRun } from "../../client/run-reads.js";
import type { WhyPayload, WhyReason } from "../../client/wire.js";
import { type Context, type Host, usage, withCloud, withShared } from "../command.js";
import { coloured, stateText } from "../print.js";
import { printable } from "../text.js";

interface Options {
  flow?: string;
  project?: string;
}

export function addWhyCommand(program: Command, host: Host): void {
  withShared(
    program.command("why").description("say why a flow run waits, and what would help"),
    "millrace why wise-otter",
  )
    .argument("[flow run]", "its id, or its name")
    .option("--flow <name>", "in place of a flow run: why does this flow make no runs?")
    .option("--project <name>", "the flow's project")
    .action(host.action(why));
}

async function why(context: Context, { flow, project }: Options, idOrName?: string): Promise<void> {
  if ((idOrName === undefined) === (flow === undefined)) {
    throw usage("millrace why takes a flow run, or --flow.", "For instance: millrace why wise-otter");
  }
  const answer = await withCloud(context, async (cloud) => {
    if (flow !== undefined) return whyNoRuns(cloud, flow, project);
    return whyWaiting(cloud, (await findFlowRun(cloud, idOrName!)).flowRunId);
  });
  context.answer(answer);
  context.say(toText(answer, context));
}

/** Codes of reasons that only say how things stand. */
const STANDING: ReadonlySet<string> = new Set([
  "ENDED",
  "TASKS_RUNNING",
  "HELD",
  "ABOUT_TO_START",
  "STARTING",
  "NEXT_RUN",
]);

function toText({ name, state, reasons }: WhyPayload, { stdout }: Context): string {
  const title =
    state === null ? `Flow ${printable(name)}` : `Flow run ${printable(name)} is ${stateText(state, stdout)}`;
  const lines = reasons.flatMap((each, at) => linesOf(each, reasons[at + 1], stdout));
  if (reasons.length === 0) lines.push("  Nothing holds it up.");
  return [coloured("bold", title, stdout), "", ...lines].join("\n");
}

/** A command that helps several reasons in a row is shown below the last of them. */
function linesOf({ code, message, fix }: WhyReason, next: WhyReason | undefined, stdout: Context["stdout"]): string[] {
  const mark = STANDING.has(code) ? coloured("dim", "·", stdout) : coloured("yellow", "!", stdout);
  const lines = [`  ${mark} ${printable(message)}`];
  if (fix !== null && fix !== next?.fix) lines.push(`    ${coloured("cyan", `$ ${printable(fix)}`, stdout)}`);
  return lines;
}
