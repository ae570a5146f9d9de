import type {
  CreateProjectInput,
  DeleteProjectInput,
  IdPayload,
  SetProjectDescriptionInput,
  SetProjectNameInput,
  SuccessPayload,
} from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { isUniqueViolation } from "../../db/database-error.js";
import { deleteProject as deleteProjectRow, flowsOfProject } from "../../db/queries/flow-groups.js";
import { holdProject, insertProject, type ProjectRow, writeProject } from "../../db/queries/projects.js";
import { isMember } from "../../db/queries/tenants.js";
import { tenantNotFound } from "../access/auth.js";
import { type RequestContext, toInstant } from "../parts.js";
import { letGoOfRuns } from "../registration/held-runs.js";
import { withLedger } from "../states/ledger.js";

/** In the caller's tenant, or in the one that the input names, when it is the user's. */
export async function createProject(input: CreateProjectInput, context: RequestContext): Promise<IdPayload> {
  const { parts } = context;
  const now = toInstant(parts.clock.now());
  const project = {
    id: newId(),
    created: now,
    updated: now,
    tenant_id: await tenantFor(context, input.tenant_id ?? null),
    name: checkName(input.name),
    description: input.description ?? null,
  };
  await unique(
    project.name,
    parts.database.write((transaction) => insertProject(transaction, project)),
  );
  return { id: project.id };
}

async function tenantFor({ parts, caller }: RequestContext, asked: string | null): Promise<string> {
  if (asked === null || asked === caller.tenantId) return caller.tenantId;
  if (caller.scope === "USER" && (await isMember(parts.database, caller.userId, asked))) return asked;
  throw tenantNotFound(asked);
}

export async function setProjectName(input: SetProjectNameInput, context: RequestContext): Promise<IdPayload> {
  const name = checkName(input.name);
  return unique(
    name,
    change(context, input.project_id, (project) => ({ ...project, name })),
  );
}

export function setProjectDescription(input: SetProjectDescriptionInput, context: RequestContext): Promise<IdPayload> {
  const description = input.description ?? null;
  return change(context, input.project_id, (project) => ({ ...project, description }));
}

function change(
  { parts, caller }: RequestContext,
  projectId: string,
  to: (project: ProjectRow) => ProjectRow,
): Promise<IdPayload> {
  return parts.database.write(async (transaction) => {
    const project = await holdProject(transaction, caller.tenantId, projectId);
    if (!project) throw projectUnknown(projectId);
    await writeProject(transaction, to(project), toInstant(parts.clock.now()));
    return { id: projectId };
  });
}

/** With everything in it; agents that hold runs of its flows are told to stop them. */
export function deleteProject(
  { project_id: projectId }: DeleteProjectInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return withLedger(parts, { tenantId: caller.tenantId }, async (ledger) => {
    const project = await holdProject(ledger.transaction, ledger.tenantId, projectId);
    if (!project) return { success: false, error: projectUnknown(projectId).message };
    await letGoOfRuns(ledger, await flowsOfProject(ledger.transaction, projectId));
    await deleteProjectRow(ledger.transaction, projectId);
    return { success: true, error: null };
  });
}

export function projectUnknown(projectId: string): MillraceError {
  return new MillraceError("PROJECT_NOT_FOUND", `There is no project "${projectId}".`, {
    hint: "Create it first, with create_project or `millrace create project`.",
  });
}

function checkName(name: string): string {
  if (name.trim() === "") throw new MillraceError("INPUT_INVALID", "A project's name must not be empty.");
  return name;
}

async function unique<T>(name: string, written: Promise<T>): Promise<T> {
  try {
    return await written;
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    // Prefect's client looks for exactly these words.
    throw new MillraceError("INPUT_INVALID", "Uniqueness violation.", {
      hint: `There is a project "${name}" already.`,
      cause: error,
    });
  }
}
