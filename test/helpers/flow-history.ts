import type { Cloud } from "../../src/client/cloud.js";

export interface StateSeen {
  version: number;
  state: string;
  message: string | null;
}

/** All that the Cloud keeps of a flow run's states. */
export interface FlowHistory {
  state: string;
  message: string | null;
  timesResurrected: number;
  states: StateSeen[];
  taskRuns: { slug: string; mapIndex: number; state: string; states: StateSeen[] }[];
}

interface Row {
  state: string;
  state_message: string | null;
  times_resurrected: number;
  states: StateSeen[];
  task_runs: { map_index: number; state: string; task: { slug: string }; states: StateSeen[] }[];
}

const DOCUMENT = `query ($id: UUID!) {
  flow_run_by_pk(id: $id) {
    state state_message times_resurrected
    states(order_by: { version: asc }) { version state message }
    task_runs(order_by: { created: asc }) {
      map_index state task { slug } states(order_by: { version: asc }) { version state message }
    }
  }
}`;

export async function flowHistory(cloud: Cloud, flowRunId: string): Promise<FlowHistory> {
  const { flow_run_by_pk: run } = await cloud.query<{ flow_run_by_pk: Row | null }>(DOCUMENT, { id: flowRunId });
  if (!run) throw new Error(`no flow run ${flowRunId}`);
  return {
    state: run.state,
    message: run.state_message,
    timesResurrected: run.times_resurrected,
    states: run.states,
    taskRuns: run.task_runs.map((each) => ({
      slug: each.task.slug,
      mapIndex: each.map_index,
      state: each.state,
      states: each.states,
    })),
  };
}

/** The flow run's history once it is in one of these states. */
export async function flowHistoryOnce(
  cloud: Cloud,
  flowRunId: string,
  states: readonly string[],
): Promise<FlowHistory | undefined> {
  const history = await flowHistory(cloud, flowRunId);
  return states.includes(history.state) ? history : undefined;
}
