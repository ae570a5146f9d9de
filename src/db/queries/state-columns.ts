import type { FlowRunTable, TaskRunTable } from "../tables.js";

/** What a change of state may change of a flow run and of a task run alike. */
export const STATE_COLUMNS = [
  "updated",
  "version",
  "heartbeat",
  "start_time",
  "end_time",
  "state",
  "state_timestamp",
  "state_message",
  "state_result",
  "state_start_time",
  "serialized_state",
] as const satisfies (keyof FlowRunTable & keyof TaskRunTable)[];

/** The columns of a run that has no state yet. */
export const NO_STATE: Readonly<
  Record<Exclude<(typeof STATE_COLUMNS)[number], "updated" | "version">, null> & { version: 0 }
> = {
  version: 0,
  heartbeat: null,
  start_time: null,
  end_time: null,
  state: null,
  state_timestamp: null,
  state_message: null,
  state_result: null,
  state_start_time: null,
  serialized_state: null,
};
