import type { ClaimedRun, Cloud } from "../src/client/cloud.js";
import { whyWaiting } from "../src/client/limits.js";
import { listFlowRuns, listLogs, listTaskRuns } from "../src/client/run-reads.js";
import type { WireState } from "../src/codec/state-json.js";
import { newId } from "../src/core/ids.js";
import type { FilledFlow, Filling } from "./fill-cloud.js";

/** Someone who asks a filled Cloud: an agent, and a person beside it. */
export interface Visit {
  cloud: Cloud;
  agentId: string;
  filling: Filling;
  /** A run that the agent has, and the place of its next task that was not begun. */
  held: { run: ClaimedRun; next: number } | undefined;
  /** How many reports the agent has sent. */
  batch: number;
}

const LEASE_MS = 600_000;
const LABELS = ["bench", "eu"];
const LIMIT = 21;

export async function openVisit(cloud: Cloud, filling: Filling): Promise<Visit> {
  const agentId = await cloud.registerAgent({ type: "LocalAgent", name: "bench size", labels: LABELS });
  return { cloud, agentId, filling, held: undefined, batch: 0 };
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}

/** A flow whose runs this agent takes. */
const flowOf = ({ filling }: Visit): FilledFlow => filling.flows[0]!;

export const createRun = (visit: Visit): Promise<string> => visit.cloud.createFlowRun({ flowId: flowOf(visit).id });

async function claim(visit: Visit, limit: number): Promise<number> {
  const { cloud, agentId } = visit;
  let runs: ClaimedRun[] = [];
  const ms = await timed(async () => {
    ({ runs } = await cloud.claimRuns({ agentId, labels: LABELS, limit, leaseMs: LEASE_MS, claimId: newId() }));
  });
  if (runs.length !== limit) throw new Error(`${runs.length} runs were claimed in place of ${limit}`);
  await cloud.releaseRuns(agentId, runs);
  return ms;
}

/** The next task of a run that the agent holds and that is Running. */
async function nextTask(visit: Visit): Promise<{ run: ClaimedRun; task: ClaimedRun["taskRuns"][number] }> {
  const { cloud, agentId } = visit;
  if (!visit.held || visit.held.next === visit.held.run.taskRuns.length) {
    await createRun(visit);
    const { runs } = await cloud.claimRuns({ agentId, labels: LABELS, limit: 1, leaseMs: LEASE_MS });
    visit.held = { run: runs[0]!, next: 0 };
    await report(visit, runs[0]!, [{ state: stateOf("Running"), at: now() }]);
  }
  const { held } = visit;
  const task = held.run.taskRuns[held.next]!;
  held.next += 1;
  return { run: held.run, task };
}

const now = (): string => new Date().toISOString();
const stateOf = (type: string): WireState => ({ type, message: `The run entered ${type}.`, __version__: "1.4.1" });

async function report(
  visit: Visit,
  { flowRunId, fence }: ClaimedRun,
  states: Parameters<Cloud["reportStates"]>[0]["runs"][number]["states"],
): Promise<void> {
  visit.batch += 1;
  const runs = [{ flowRunId, fence, states, logs: [] }];
  const answer = await visit.cloud.reportStates({
    agentId: visit.agentId,
    streamId: visit.agentId,
    batch: visit.batch,
    runs,
  });
  if (answer.refused.length > 0) throw new Error(`a report was refused: ${answer.refused[0]!.message}`);
}

async function reportTask(visit: Visit): Promise<number> {
  const { run, task } = await nextTask(visit);
  const { taskRunId, taskSlug, mapIndex, version } = task;
  const states = ["Running", "Success"].map((type, index) => ({
    taskRun: { taskRunId, taskSlug, mapIndex, version: version + index },
    state: stateOf(type),
    at: now(),
  }));
  return timed(() => report(visit, run, states));
}

const SET_TASK_RUN_STATES =
  "mutation($input: set_task_run_states_input!) { set_task_run_states(input: $input) { states { id status message } } }";

async function setTaskState(visit: Visit): Promise<number> {
  const { task } = await nextTask(visit);
  const states = [{ task_run_id: task.taskRunId, version: task.version, state: stateOf("Running") }];
  return timed(async () => {
    const answer = await visit.cloud.query<{ set_task_run_states: { states: { status: string; message: string }[] } }>(
      SET_TASK_RUN_STATES,
      { input: { states } },
    );
    const [state] = answer.set_task_run_states.states;
    if (state?.status !== "SUCCESS") throw new Error(`a state was refused: ${state?.message}`);
  });
}

const RUNS_IN_QUEUE =
  "mutation($input: get_runs_in_queue_input!) { get_runs_in_queue(input: $input) { flow_run_ids } }";

async function cancelOne(visit: Visit): Promise<number> {
  const id = await createRun(visit);
  return timed(() => visit.cloud.cancelFlowRun(id));
}

async function whyOne(visit: Visit): Promise<number> {
  const id = await createRun(visit);
  return timed(() => whyWaiting(visit.cloud, id));
}

/** What is asked of a Cloud all day; each answers how long it took, in milliseconds. */
export const questions: readonly { what: string; ask: (visit: Visit) => Promise<number> }[] = [
  { what: "create_flow_run", ask: (visit) => timed(() => createRun(visit)) },
  { what: "claim_runs, limit 1", ask: (visit) => claim(visit, 1) },
  { what: "claim_runs, limit 10", ask: (visit) => claim(visit, 10) },
  {
    what: "get_runs_in_queue",
    ask: ({ cloud }) => timed(() => cloud.query(RUNS_IN_QUEUE, { input: { labels: LABELS, before: now() } })),
  },
  { what: "report_states, a task's two", ask: reportTask },
  { what: "set_task_run_states, one", ask: setTaskState },
  { what: "cancel_flow_run", ask: cancelOne },
  { what: "why", ask: whyOne },
  { what: "get flow-runs", ask: ({ cloud }) => timed(() => listFlowRuns(cloud, { limit: LIMIT })) },
  {
    what: "get flow-runs --flow",
    ask: (visit) => timed(() => listFlowRuns(visit.cloud, { flow: flowOf(visit).name, limit: LIMIT })),
  },
  {
    what: "get flow-runs --state Failed",
    ask: ({ cloud }) => timed(() => listFlowRuns(cloud, { states: ["Failed"], limit: LIMIT })),
  },
  {
    what: "get flow-runs --state TimedOut, of 1,000 one",
    ask: ({ cloud }) => timed(() => listFlowRuns(cloud, { states: ["TimedOut"], limit: LIMIT })),
  },
  {
    what: "get flow-runs --flow --state Failed",
    ask: (visit) =>
      timed(() => listFlowRuns(visit.cloud, { flow: flowOf(visit).name, states: ["Failed"], limit: LIMIT })),
  },
  {
    what: "get task-runs of a run",
    ask: ({ cloud, filling }) => timed(() => listTaskRuns(cloud, filling.finishedRunId, { limit: LIMIT })),
  },
  {
    what: "get logs of a run",
    ask: ({ cloud, filling }) => timed(() => listLogs(cloud, filling.finishedRunId, { limit: LIMIT })),
  },
];
