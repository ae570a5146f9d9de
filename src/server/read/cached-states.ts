import type { CachedStatesInput } from "../../client/wire.js";
import { cachedStates } from "../../db/queries/cached-results.js";
import type { RequestContext } from "../parts.js";

/** Answers an agent that wants to know which earlier results may stand for running a task; it decides with the task's own validator. */
export async function readCachedStates(
  { flow_id, task_slug, cache_key, since }: CachedStatesInput,
  { parts, caller }: RequestContext,
): Promise<unknown[]> {
  const texts = await cachedStates(parts.database, {
    tenantId: caller.tenantId,
    flowId: flow_id,
    taskSlug: task_slug,
    cacheKey: cache_key ?? null,
    since,
  });
  return texts.map((text) => JSON.parse(text) as unknown);
}
