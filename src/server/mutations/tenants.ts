import type { ApiInfo, CreateProjectInput, IdPayload } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { isUniqueViolation } from "../../db/database-error.js";
import { insertProject } from "../../db/queries/projects.js";
import { type RequestContext, toInstant } from "../parts.js";
import { version } from "../version.js";

export async function createProject(input: CreateProjectInput, { parts, caller }: RequestContext): Promise<IdPayload> {
  if (input.name.trim() === "") throw new MillraceError("INPUT_INVALID", "A project's name must not be empty.");
  const now = toInstant(parts.clock.now());
  const project = {
    id: newId(),
    created: now,
    updated: now,
    tenant_id: caller.tenantId,
    name: input.name,
    description: input.description ?? null,
  };
  try {
    await parts.database.write((transaction) => insertProject(transaction, project));
  } catch (error) {
    if (!isUniqueViolation(error)) throw error;
    // Prefect's client looks for exactly these words.
    throw new MillraceError("INPUT_INVALID", "Uniqueness violation.", {
      hint: `There is a project "${input.name}" already.`,
      cause: error,
    });
  }
  return { id: project.id };
}

export async function hello(): Promise<string> {
  return "hello";
}

export async function api(): Promise<ApiInfo> {
  return { backend: "SERVER", mode: "normal", version, core_version: version, release_timestamp: null };
}
