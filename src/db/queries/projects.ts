import type { Selectable } from "kysely";
import type { Transaction } from "../database.js";
import type { ProjectTable } from "../tables.js";

export type ProjectRow = Selectable<ProjectTable>;

export function findProject(
  transaction: Transaction,
  tenantId: string,
  projectId: string,
): Promise<ProjectRow | undefined> {
  return transaction.query
    .selectFrom("project")
    .selectAll()
    .where("id", "=", projectId)
    .where("tenant_id", "=", tenantId)
    .executeTakeFirst();
}

/** Throws a unique violation when the tenant has a project of that name. */
export async function insertProject(transaction: Transaction, project: ProjectRow): Promise<void> {
  await transaction.query.insertInto("project").values(project).execute();
}
