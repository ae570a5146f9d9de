import type { Selectable } from "kysely";
import type { Transaction } from "../database.js";
import type { ProjectTable } from "../tables.js";

export type ProjectRow = Selectable<ProjectTable>;

/** Nobody else changes or deletes it until the transaction ends. */
export async function holdProject(
  transaction: Transaction,
  tenantId: string,
  projectId: string,
): Promise<ProjectRow | undefined> {
  const sql = "SELECT * FROM project WHERE id = ?1 AND tenant_id = ?2 FOR UPDATE";
  const [row] = await transaction.all<ProjectRow>(sql, projectId, tenantId);
  return row;
}

/** Throws a unique violation when the tenant has a project of that name. */
export async function insertProject(transaction: Transaction, project: ProjectRow): Promise<void> {
  await transaction.query.insertInto("project").values(project).execute();
}

/** Throws a unique violation when the tenant has another project of that name. */
export function writeProject(
  transaction: Transaction,
  { id, name, description }: ProjectRow,
  now: string,
): Promise<number> {
  const sql = "UPDATE project SET name = ?1, description = ?2, updated = ?3 WHERE id = ?4";
  return transaction.run(sql, name, description, now, id);
}
