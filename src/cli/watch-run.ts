import type { Cloud } from "../client/cloud.js";
import { listAgents, listFlowTasks } from "../client/reads.js";
import { sleepUnlessAborted, withRetries } from "../client/retry.js";
import { type FlowRunRow, getFlowRun, listTaskRuns, type TaskRunRow } from "../client/run-reads.js";
import { isMillraceError } from "../core/errors.js";
import { agentTakes } from "../core/labels.js";
import { isFinishedName, LiveRun, type RunChange } from "./live-run.js";
import { openLiveView } from "./live-view.js";
import type { Terminal } from "./print.js";
import { agoText, printable } from "./text.js";

/** A run's first seconds are watched closely; later a second's delay is not felt. Each look is two small queries. */
const LOOK_EVERY_MS = 250;
const LOOK_LATER_EVERY_MS = 1_000;
const CLOSE_WATCH_MS = 10_000;
/** A run that is due and taken by nobody for so long is explained. */
const EXPLAIN_WAIT_AFTER_MS = 5_000;
/** The protocol calls an agent healthy that was heard of within a minute. */
const HEALTHY_AGENT_MS = 60_000;
/** Rows in one answer. */
const PAGE_ROWS = 1_000;
/** Rows are stamped before they are committed: looks overlap by more than a commit takes. */
const OVERLAP_MS = 2_000;

/** A Cloud that is started again, or its machine, is back within this; the run goes on meanwhile. */
const OUTAGE_LIMIT_MS = 60_000;

/** Shows a flow run's task runs until it has ended, or the signal fires. Resolves with how it stood then. */
export async function watchRun(
  strictCloud: Cloud,
  flowRunId: string,
  terminal: Terminal,
  signal: AbortSignal,
): Promise<FlowRunRow> {
  let say: (text: string) => void = (text) => void terminal.write(`${text}\n`);
  const cloud = patientReader(strictCloud, signal, (text) => say(text));
  let run = await getFlowRun(cloud, flowRunId);
  const all = await listFlowTasks(cloud, run.flowId);
  // The task run of a parameter or secret says nothing that people do not know.
  const unseen = new Set(all.filter(({ kind }) => kind !== "task").map(({ taskSlug }) => taskSlug));
  const slugs = all.map(({ taskSlug }) => taskSlug).filter((slug) => !unseen.has(slug));
  const live = new LiveRun(`Flow run ${printable(run.name)} of "${printable(run.flow)}"`, slugs);
  const view = openLiveView(live, terminal);
  say = view.say;
  const begunAt = Date.now();
  const reader = changedTaskRuns(cloud, flowRunId);
  let explained = false;
  try {
    for (;;) {
      // The flow run is read first: once it has ended, its task runs have too, and the next read shows them so.
      run = await getFlowRun(cloud, flowRunId);
      const ended = isFinishedName(run.state);
      const changed = (await reader()).filter(({ taskSlug }) => !unseen.has(taskSlug)).map(taskChange);
      const changes = ended ? [...changed, flowChange(run)] : [flowChange(run), ...changed];
      for (const change of changes) view.update(change);
      if (ended || signal.aborted) return run;
      const watchedMs = Date.now() - begunAt;
      if (!explained && watchedMs > EXPLAIN_WAIT_AFTER_MS && isWaiting(run)) {
        view.say(await explainWait(cloud, run));
        explained = true;
      }
      await sleepUnlessAborted(watchedMs < CLOSE_WATCH_MS ? LOOK_EVERY_MS : LOOK_LATER_EVERY_MS, signal);
    }
  } catch (error) {
    if (signal.aborted && isMillraceError(error, "CLOUD_UNREACHABLE")) return run;
    throw error;
  } finally {
    view.end();
  }
}

/** Reads again for {@link OUTAGE_LIMIT_MS} while the Cloud does not answer, and says so once for each outage. */
function patientReader(cloud: Cloud, signal: AbortSignal, say: (text: string) => void): Cloud {
  const query = <T>(document: string, variables?: Record<string, unknown>): Promise<T> => {
    let silentSince: number | undefined;
    const mayRepeat = (error: unknown): boolean => {
      if (!isMillraceError(error, "CLOUD_UNREACHABLE")) return false;
      if (silentSince === undefined) {
        silentSince = performance.now();
        say(`The Cloud at ${cloud.url} does not answer. The run goes on without it; looking again for a minute.`);
      }
      return performance.now() - silentSince < OUTAGE_LIMIT_MS;
    };
    const tries = Number.POSITIVE_INFINITY;
    return withRetries(() => cloud.query<T>(document, variables), { tries, signal, mayRepeat });
  };
  return { ...cloud, query };
}

/** Each call reads the task runs that changed since the last: a run of thousands costs little while little happens. */
function changedTaskRuns(cloud: Cloud, flowRunId: string): () => Promise<TaskRunRow[]> {
  const versions = new Map<string, number>();
  let since: string | undefined;
  return async () => {
    const changed: TaskRunRow[] = [];
    const filter = { limit: PAGE_ROWS, ...(since === undefined ? {} : { updatedSince: since }) };
    let newest = since === undefined ? 0 : Date.parse(since) + OVERLAP_MS;
    for (let offset = 0; ; offset += PAGE_ROWS) {
      const rows = await listTaskRuns(cloud, flowRunId, { ...filter, offset });
      for (const row of rows) {
        newest = Math.max(newest, Date.parse(row.updatedAt));
        if ((versions.get(row.taskRunId) ?? -1) >= row.version) continue;
        versions.set(row.taskRunId, row.version);
        if (row.state !== null) changed.push(row);
      }
      if (rows.length < PAGE_ROWS) break;
    }
    if (newest > 0) since = new Date(newest - OVERLAP_MS).toISOString();
    return changed.sort((a, b) => ((a.stateAt ?? a.updatedAt) < (b.stateAt ?? b.updatedAt) ? -1 : 1));
  };
}

function taskChange(row: TaskRunRow): RunChange {
  const { taskSlug, mapIndex, message, runCount, mapCount, startAt, endAt } = row;
  const state = row.state ?? "Pending";
  return { taskSlug, mapIndex, state, message, runCount, mapCount, startAt, endAt, at: row.stateAt ?? row.updatedAt };
}

function flowChange({ state, message, startAt, endAt, stateAt, createdAt }: FlowRunRow): RunChange {
  const none = { taskSlug: null, mapIndex: -1, runCount: null, mapCount: null };
  return { ...none, state: state ?? "Pending", message, startAt, endAt, at: stateAt ?? createdAt };
}

const isWaiting = (run: FlowRunRow): boolean =>
  run.state === "Scheduled" && Date.parse(run.scheduledStartAt) < Date.now();

/** Why nobody takes the run, as far as labels and agents tell. */
export async function explainWait(cloud: Cloud, run: FlowRunRow): Promise<string> {
  const agents = await listAgents(cloud, { limit: PAGE_ROWS });
  const healthy = agents.filter((agent) => Date.now() - Date.parse(agent.lastQueriedAt) < HEALTHY_AGENT_MS);
  const needs =
    run.labels.length === 0 ? "an agent without labels" : `an agent with the labels ${run.labels.join(", ")}`;
  const able = healthy.filter((agent) => agentTakes(run.labels, agent.labels));
  if (able.length > 0) {
    return `The run waits for a free place: ${able.map(({ name }) => `"${printable(name)}"`).join(", ")} may take it, and none has yet.`;
  }
  const last = agents.find((agent) => agentTakes(run.labels, agent.labels));
  const seen = last
    ? ` The last such agent, "${printable(last.name)}", was heard of ${agoText(last.lastQueriedAt, Date.now())}.`
    : "";
  const missing = healthy.map((agent) => {
    const lacks = run.labels.filter((label) => !agent.labels.includes(label));
    const why = lacks.length > 0 ? `lacks ${lacks.join(", ")}` : "has labels, and the run has none";
    return `\n  agent "${printable(agent.name)}" ${why}`;
  });
  return `The run waits for ${needs}, and none is there.${seen}${missing.join("")}`;
}
