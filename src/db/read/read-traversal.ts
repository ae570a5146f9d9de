import { sql } from "kysely";
import { infoOf } from "./describe-tables.js";
import type { Sql } from "./read-dialect.js";
import { ownRows } from "./read-filter.js";
import { type Reading, refuse } from "./read-request.js";
import { toOperand } from "./read-values.js";
import type { TableInfo } from "./table-info.js";

/**
 * What utility_upstream_tasks and utility_downstream_tasks answer with: a list like a table's, whose rows are made by
 * `tasksAround`.
 */
export const traversalInfo: TableInfo = {
  table: "utility_traversal",
  name: "utility_traversal",
  columns: new Map([
    ["task_id", { name: "task_id", column: "task_id", kind: "uuid", nullable: false, comparable: true }],
    ["depth", { name: "depth", column: "depth", kind: "int", nullable: false, comparable: true }],
  ]),
  relations: new Map([
    ["task", { name: "task", to: "task", many: false, here: "task_id", there: "id", nullable: false }],
  ]),
  key: ["task_id"],
  tenant: "tenant_id",
  order: ["depth"],
};

/** How many edges away a task may be; the protocol's own limit. */
export const MAX_DEPTH = 50;
/** Tasks to start from: as many as a page has. */
const MAX_STARTS = 10_000;

/**
 * The tasks that edges lead to from the given ones, which are there too, with depth 0; a task that several ways lead to has the
 * length of the longest. Rows of `traversalInfo`. An edge is looked up within its flow, by an index in either direction.
 * @throws INPUT_INVALID for what is no id, and for more than 10,000 ids
 */
export function tasksAround(
  reading: Reading,
  direction: "upstream" | "downstream",
  taskIds: readonly unknown[],
  depth: number,
): Sql {
  const task = infoOf("task");
  if (taskIds.length > MAX_STARTS) {
    throw refuse(task, `it starts from ${taskIds.length} tasks, and ${MAX_STARTS} are the most`);
  }
  const ids = taskIds.map((id) => toOperand(task, task.columns.get("id")!, id));
  const [from, to] = direction === "downstream" ? ["upstream", "downstream"] : ["downstream", "upstream"];
  const most = Math.min(Math.max(0, depth), MAX_DEPTH);
  return sql`(with recursive around(flow_id, task_id, depth) as (
    select s.flow_id, s.id, 0 from task as s where ${reading.dialect.inList(sql.ref("s.id"), ids)} and ${ownRows(reading, task, "s", true)}
    union
    select e.flow_id, ${sql.ref(`e.${to}_task_id`)}, a.depth + 1 from around as a
      join edge as e on e.flow_id = a.flow_id and ${sql.ref(`e.${from}_task_id`)} = a.task_id where a.depth < ${sql.lit(most)}
  ) select a.task_id, max(a.depth) as depth, ${reading.tenantId} as tenant_id from around as a group by a.task_id)`;
}
