import type { Selectable } from "kysely";
import type { Reads, Transaction } from "../database.js";
import type { TaskRunArtifactTable } from "../tables.js";

export type ArtifactRow = Selectable<TaskRunArtifactTable>;

export async function isTaskRunOf(reads: Reads, tenantId: string, taskRunId: string): Promise<boolean> {
  const rows = await reads.all("SELECT id FROM task_run WHERE id = ?1 AND tenant_id = ?2", taskRunId, tenantId);
  return rows.length > 0;
}

/** Once for each id. */
export async function insertArtifact(transaction: Transaction, row: ArtifactRow): Promise<void> {
  await transaction.query
    .insertInto("task_run_artifact")
    .values(row)
    .onConflict((conflict) => conflict.column("id").doNothing())
    .execute();
}

export function findArtifact(reads: Reads, id: string): Promise<Pick<ArtifactRow, "tenant_id" | "task_run_id">[]> {
  return reads.all("SELECT tenant_id, task_run_id FROM task_run_artifact WHERE id = ?1", id);
}

/** @returns whether there was one */
export async function updateArtifact(
  transaction: Transaction,
  { tenant_id, id, data, updated }: Pick<ArtifactRow, "tenant_id" | "id" | "data" | "updated">,
): Promise<boolean> {
  const sql = "UPDATE task_run_artifact SET data = ?1, updated = ?2 WHERE tenant_id = ?3 AND id = ?4";
  return (await transaction.run(sql, data, updated, tenant_id, id)) > 0;
}

/** @returns whether there was one */
export async function deleteArtifact(transaction: Transaction, tenantId: string, id: string): Promise<boolean> {
  return (await transaction.run("DELETE FROM task_run_artifact WHERE tenant_id = ?1 AND id = ?2", tenantId, id)) > 0;
}
