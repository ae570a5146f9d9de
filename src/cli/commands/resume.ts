import type { Command } from "commander";
import type { Cloud } from "../../client/cloud.js";
import { findFlowRun, listTaskRuns, type TaskRunRow } from "../../client/run-reads.js";
import { MillraceError } from "../../core/errors.js";
import { type Context, type Host, usage, withCloud, withShared } from "../command.js";
import { readValue } from "../parameters.js";
import { printable } from "../text.js";

interface ResumeOptions {
  task?: string;
  input?: string;
}

/** Paused task runs of one flow run that the refusal lists. */
const MAX_LISTED = 20;
/** As many are asked for at once. */
const PAGE = 200;

export function addResumeCommand(program: Command, host: Host): void {
  withShared(
    program.command("resume").description("let a paused task go on: approve it, or give it the input it waits for"),
    "millrace resume wise-otter --task 'release?-1' --input '{\"approved\": true}'",
  )
    .argument("<flow run>", "its id, or its name")
    .option("--task <slug>", "the paused task; needed when more than one is, with [index] for a mapped child")
    .option("--input <json>", "what the task is resumed with; JSON, or text as it stands")
    .action(host.action(resume));
}

async function resume(context: Context, options: ResumeOptions, idOrName: string): Promise<void> {
  await withCloud(context, async (cloud) => {
    const run = await findFlowRun(cloud, idOrName);
    const paused = await listPaused(cloud, run.flowRunId, options.task);
    const taskRun = pick(paused, options.task, run.name);
    const input = options.input === undefined ? {} : { input: readValue(options.input) };
    await cloud.resumeTaskRun(taskRun.taskRunId, input);
    context.say(
      `Task ${printable(nameOf(taskRun))} of flow run ${printable(run.name)} is resumed: an agent goes on with it.`,
    );
    context.say("Should its schema refuse the input, it stays paused: `millrace get task-runs` says why.");
    context.answer({ flowRunId: run.flowRunId, taskRunId: taskRun.taskRunId, task: nameOf(taskRun) });
  });
}

const nameOf = ({ taskSlug, mapIndex }: TaskRunRow): string => (mapIndex < 0 ? taskSlug : `${taskSlug}[${mapIndex}]`);

const lineOf = (each: TaskRunRow): string => `\n  ${nameOf(each)}  ${printable(each.message ?? "")}`;

/** All of them: a mapped task may have many. Those that follow the one that is meant are left out. */
async function listPaused(cloud: Cloud, flowRunId: string, slug: string | undefined): Promise<TaskRunRow[]> {
  const paused: TaskRunRow[] = [];
  for (;;) {
    const page = await listTaskRuns(cloud, flowRunId, { states: ["Paused"], limit: PAGE, offset: paused.length });
    paused.push(...page);
    if (page.length < PAGE || page.some((each) => nameOf(each) === slug)) return paused;
  }
}

/** @throws TASK_RUN_NOT_PAUSED, USAGE when more than one is meant */
function pick(paused: readonly TaskRunRow[], slug: string | undefined, flowRun: string): TaskRunRow {
  const meant = slug === undefined ? paused : paused.filter((each) => nameOf(each) === slug || each.taskSlug === slug);
  if (meant.length === 1) return meant[0]!;
  const more = paused.length > MAX_LISTED ? `\n  and ${paused.length - MAX_LISTED} more` : "";
  const list = paused.slice(0, MAX_LISTED).map(lineOf).join("") + more;
  if (meant.length > 1)
    throw usage(`${meant.length} tasks of flow run "${flowRun}" are paused:${list}`, "Name one with --task.");
  const which = slug === undefined ? "No task" : `No task "${slug}"`;
  throw new MillraceError(
    "TASK_RUN_NOT_PAUSED",
    `${which} of flow run "${flowRun}" is paused.${list && ` Paused are:${list}`}`,
    {
      hint: `\`millrace get task-runs "${flowRun}"\` shows where it stands.`,
    },
  );
}
