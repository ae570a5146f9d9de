import type {
  CreateTaskRunArtifactInput,
  DeleteTaskRunArtifactInput,
  IdPayload,
  SuccessPayload,
  UpdateTaskRunArtifactInput,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import {
  deleteArtifact,
  findArtifact,
  insertArtifact,
  isTaskRunOf,
  updateArtifact,
} from "../../db/queries/artifacts.js";
import { type RequestContext, toInstant } from "../parts.js";
import { checkName, checkTenant, deleted, jsonText, notFound } from "./settings-input.js";

/** As the protocol has it. */
const MAX_DATA_BYTES = 1_000_000;

export async function createTaskRunArtifact(
  input: CreateTaskRunArtifactInput,
  { parts, caller }: RequestContext,
): Promise<IdPayload> {
  const { task_run_id, kind } = input;
  checkTenant("create_task_run_artifact", input.tenant_id, caller);
  checkName("create_task_run_artifact", "kind", kind);
  const data = jsonText("create_task_run_artifact", "`data`", toData("create", input.data), MAX_DATA_BYTES);
  const now = toInstant(parts.clock.now());
  const row = {
    id: input.id ?? newId(),
    created: now,
    updated: now,
    tenant_id: caller.tenantId,
    task_run_id,
    kind,
    data,
  };
  await parts.database.write(async (transaction) => {
    if (!(await isTaskRunOf(transaction, caller.tenantId, task_run_id))) throw notFound(`Task run ${task_run_id}`);
    await insertArtifact(transaction, row);
    const [kept] = await findArtifact(transaction, row.id);
    // An id of the sender's own may be sent twice, for one task run.
    if (kept?.tenant_id === caller.tenantId && kept.task_run_id === task_run_id) return;
    throw new MillraceError("INPUT_INVALID", `create_task_run_artifact: the id ${row.id} is another artifact's.`);
  });
  return { id: row.id };
}

export async function updateTaskRunArtifact(
  { task_run_artifact_id: id, data }: UpdateTaskRunArtifactInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  const text = jsonText("update_task_run_artifact", "`data`", toData("update", data), MAX_DATA_BYTES);
  const change = { tenant_id: caller.tenantId, id, data: text, updated: toInstant(parts.clock.now()) };
  const found = await parts.database.write((transaction) => updateArtifact(transaction, change));
  if (!found) throw notFound(`Artifact ${id}`);
  return { success: true, error: null };
}

export async function deleteTaskRunArtifact(
  { task_run_artifact_id: id }: DeleteTaskRunArtifactInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return deleted(
    await parts.database.write((transaction) => deleteArtifact(transaction, caller.tenantId, id)),
    `Artifact ${id}`,
  );
}

/** @throws INPUT_INVALID for data that is no object: whoever shows it looks for `link` or `markdown` in it */
function toData(verb: "create" | "update", data: unknown): object {
  if (typeof data === "object" && data !== null && !Array.isArray(data)) return data;
  throw new MillraceError("INPUT_INVALID", `${verb}_task_run_artifact: \`data\` must be a JSON object.`, {
    hint: 'For instance {"link": "https://…"} or {"markdown": "# Done"}.',
  });
}
