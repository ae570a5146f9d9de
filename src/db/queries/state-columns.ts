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
