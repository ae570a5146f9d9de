import type { Selectable } from "kysely";
import type { Transaction } from "../database.js";
import type { ProjectTable, TenantTable } from "../tables.js";

export type ProjectRow = Selectable<ProjectTable>;
export type TenantRow = Selectable<TenantTable>;

export function firstTenant(transaction: Transaction): Promise<TenantRow | undefined> {
  return transaction.query.selectFrom("tenant").selectAll().orderBy("created").limit(1).executeTakeFirst();
}

export async function insertTenant(transaction: Transaction, tenant: TenantRow): Promise<void> {
  await transaction.query.insertInto("tenant").values(tenant).execute();
}

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
