import type { Command } from "commander";
import { listLimits } from "../../client/limits.js";
import { listAgents, listFlows, listProjects } from "../../client/reads.js";
import { findFlowRun, listFlowRuns, listLogs, listTaskRuns } from "../../client/run-reads.js";
import { isType, type StateType, stateTypes } from "../../core/state.js";
import { type Context, collect, group, type Host, usage, wholeNumber, withCloud, withShared } from "../command.js";
import { isFinishedName } from "../live-run.js";
import { type Column, coloured, stateColour, table } from "../print.js";
import { agoText, durationText, printable } from "../text.js";

/** The most rows that the Cloud answers in one list. */
const MAX_ROWS = 10_000;

interface Filter {
  flow?: string;
  project?: string;
  state: string[];
  limit: number;
}

export function addGetCommands(program: Command, host: Host): void {
  const get = group(program, "get", "list what the Cloud knows", "millrace get flow-runs --state failed");
  const list = (name: string, what: string, example: string, limit: number) =>
    withShared(get.command(name).description(what), example).option(
      "--limit <number>",
      "how many at most",
      wholeNumber("--limit", 1, MAX_ROWS),
      limit,
    );
  const byProject = (command: Command) => command.option("--project <name>", "only of this project");
  const byState = (command: Command) =>
    command.option("--state <state>", "only in this state or one of its kinds; may be repeated", collect, []);

  byProject(list("flows", "flows, the newest version of each", "millrace get flows --project Sales", 50))
    .option("--flow <name>", "only the flow of that name")
    .option("--all-versions", "every version")
    .action(host.action(getFlows));
  list("projects", "projects", "millrace get projects", 50).action(host.action(getProjects));
  byState(
    byProject(list("flow-runs", "flow runs, newest first", "millrace get flow-runs --flow orders --state failed", 20)),
  )
    .option("--flow <name>", "only runs of the flow of that name")
    .action(host.action(getFlowRuns));
  byState(list("task-runs", "task runs of a flow run", "millrace get task-runs wise-otter --state failed", 1_000))
    .argument("<flow run>", "its id, or its name")
    .action(host.action(getTaskRuns));
  list("logs", "the last lines of a flow run's log", "millrace get logs wise-otter --level WARNING", 1_000)
    .argument("<flow run>", "its id, or its name")
    .option("--level <level>", "this level and the graver ones")
    .action(host.action(getLogs));
  list("agents", "agents, the one heard of last first", "millrace get agents", 50).action(host.action(getAgents));
  list("limits", "concurrency limits, of task tags and flow labels", "millrace get limits", 50).action(
    host.action(getLimits),
  );
}

/** A list is asked for one row more than it shows, which tells whether it is all. */
const oneMore = (limit: number): number => Math.min(limit + 1, MAX_ROWS);

interface List {
  /** What the rows are, for people. */
  what: string;
  limit: number;
}

/** Under `--json` the rows as they are; a table of them otherwise. */
function show<Row>(context: Context, columns: readonly Column<Row>[], found: readonly Row[], list: List): void {
  const rows = found.slice(0, list.limit);
  context.answer(rows);
  if (rows.length > 0) context.say(table(columns, rows, context.stdout));
  noteLength(context, found.length, list);
}

/** No list ends in the middle without a word. */
function noteLength(context: Context, found: number, { what, limit }: List): void {
  if (found === 0) context.note(`There are no ${what}.`);
  else if (found > limit) context.note(`There are more than ${limit} ${what}: --limit shows up to ${MAX_ROWS}.`);
  else if (found === MAX_ROWS) context.note(`There may be more than these ${MAX_ROWS} ${what}.`);
}

async function getFlows(context: Context, options: Filter & { allVersions?: boolean }): Promise<void> {
  const { flow, project, limit } = options;
  const rows = await withCloud(context, (cloud) =>
    listFlows(cloud, { flow, project, limit: oneMore(limit), allVersions: options.allVersions ?? false }),
  );
  const now = Date.now();
  show(
    context,
    [
      { title: "NAME", text: (row) => row.name },
      { title: "VERSION", text: (row) => String(row.version), align: "right" },
      { title: "PROJECT", text: (row) => row.project },
      { title: "CREATED", text: (row) => agoText(row.createdAt, now) },
      { title: "LABELS", text: (row) => row.labels.join(", ") },
      { title: "ID", text: (row) => row.flowId, whole: true },
    ],
    rows,
    { what: "flows", limit },
  );
}

async function getLimits(context: Context, { limit }: Filter): Promise<void> {
  const rows = await withCloud(context, listLimits);
  show(
    context,
    [
      { title: "KIND", text: (row) => row.kind },
      { title: "NAME", text: (row) => row.name },
      { title: "LIMIT", text: (row) => String(row.limit), align: "right" },
      { title: "ID", text: (row) => row.limitId, whole: true },
    ],
    rows,
    { what: "limits", limit },
  );
}

async function getProjects(context: Context, { limit }: Filter): Promise<void> {
  const rows = await withCloud(context, (cloud) => listProjects(cloud, { limit: oneMore(limit) }));
  const now = Date.now();
  show(
    context,
    [
      { title: "NAME", text: (row) => row.name },
      { title: "FLOWS", text: (row) => String(row.flows), align: "right" },
      { title: "CREATED", text: (row) => agoText(row.createdAt, now) },
      { title: "DESCRIPTION", text: (row) => row.description ?? "" },
      { title: "ID", text: (row) => row.projectId, whole: true },
    ],
    rows,
    { what: "projects", limit },
  );
}

async function getFlowRuns(context: Context, { flow, project, state, limit }: Filter): Promise<void> {
  const rows = await withCloud(context, (cloud) =>
    listFlowRuns(cloud, { flow, project, states: readStates(state), limit: oneMore(limit) }),
  );
  const now = Date.now();
  show(
    context,
    [
      { title: "NAME", text: (row) => row.name },
      { title: "FLOW", text: (row) => row.flow },
      { title: "STATE", text: (row) => row.state ?? "–", colour: (row) => stateColour(row.state) },
      { title: "DUE", text: (row) => agoText(row.scheduledStartAt, now) },
      {
        title: "DURATION",
        text: (row) => durationText(row.startAt, row.endAt ?? finishedAt(row), now),
        align: "right",
      },
      { title: "MESSAGE", text: (row) => row.message ?? "" },
      { title: "ID", text: (row) => row.flowRunId, whole: true },
    ],
    rows,
    { what: "flow runs", limit },
  );
}

async function getTaskRuns(context: Context, { state, limit }: Filter, flowRun: string): Promise<void> {
  const states = readStates(state);
  const rows = await withCloud(context, async (cloud) => {
    const { flowRunId } = await findFlowRun(cloud, flowRun);
    return listTaskRuns(cloud, flowRunId, { states, limit: oneMore(limit) });
  });
  const now = Date.now();
  show(
    context,
    [
      { title: "TASK", text: (row) => (row.mapIndex < 0 ? row.taskSlug : `${row.taskSlug}[${row.mapIndex}]`) },
      { title: "STATE", text: (row) => row.state ?? "–", colour: (row) => stateColour(row.state) },
      { title: "STARTED", text: (row) => agoText(row.startAt, now) },
      {
        title: "DURATION",
        text: (row) => durationText(row.startAt, row.endAt ?? finishedAt(row), now),
        align: "right",
      },
      { title: "MESSAGE", text: (row) => row.message ?? "" },
      { title: "ID", text: (row) => row.taskRunId, whole: true },
    ],
    rows,
    { what: "such task runs", limit },
  );
}

async function getLogs(context: Context, options: { level?: string; limit: number }, flowRun: string): Promise<void> {
  const levels = readLevels(options.level);
  const found = await withCloud(context, async (cloud) => {
    const { flowRunId } = await findFlowRun(cloud, flowRun);
    return listLogs(cloud, flowRunId, { levels, limit: oneMore(options.limit) });
  });
  const rows = found.slice(-options.limit);
  context.answer(rows);
  for (const { at, level, logger, message } of rows) {
    const colour = level === "ERROR" || level === "CRITICAL" ? "red" : level === "WARNING" ? "yellow" : "dim";
    const head = coloured(colour, `${at} ${level.padEnd(8)}`, context.stdout);
    // A message of several lines stays one of several lines.
    const lines = (message ?? "").split(/\r?\n/).map(printableLine).join("\n    ");
    context.say(`${head} ${printable(logger ?? "")}  ${lines}`);
  }
  noteLength(context, found.length, { what: "such lines", limit: options.limit });
}

/** Indentation is kept: a stack or a table lives from it. */
function printableLine(line: string): string {
  const indent = /^ */.exec(line)![0];
  return indent + printable(line.slice(indent.length));
}

async function getAgents(context: Context, { limit }: Filter): Promise<void> {
  const rows = await withCloud(context, (cloud) => listAgents(cloud, { limit: oneMore(limit) }));
  const now = Date.now();
  show(
    context,
    [
      { title: "NAME", text: (row) => row.name },
      { title: "TYPE", text: (row) => row.type },
      { title: "HEARD OF", text: (row) => agoText(row.lastQueriedAt, now) },
      { title: "LABELS", text: (row) => row.labels.join(", ") },
      { title: "ID", text: (row) => row.agentId, whole: true },
    ],
    rows,
    { what: "agents", limit },
  );
}

/** Names of states, in any case; each stands for its descendants too. Undefined: all. @throws USAGE */
function readStates(names: readonly string[]): StateType[] | undefined {
  if (names.length === 0) return undefined;
  return names.flatMap((name) => {
    const family = stateTypes.find((state) => state.toLowerCase() === name.toLowerCase());
    if (!family) throw usage(`"${name}" is not a state.`, `The states are ${stateTypes.join(", ")}.`);
    return stateTypes.filter((state) => isType(state, family));
  });
}

const LEVELS = ["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"];

function readLevels(name: string | undefined): string[] | undefined {
  if (name === undefined) return undefined;
  const at = LEVELS.indexOf(name.toUpperCase());
  if (at >= 0) return LEVELS.slice(at);
  throw usage(`"${name}" is not a level.`, `The levels are ${LEVELS.join(", ")}.`);
}

/** The Cloud notes no end for tasks that were skipped and the like: theirs is when they entered that state. */
export function finishedAt({ state, stateAt }: { state: string | null; stateAt: string | null }): string | null {
  return isFinishedName(state) ? stateAt : null;
}
