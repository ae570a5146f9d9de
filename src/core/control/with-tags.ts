import { currentBuild } from "../building.js";
import { MillraceError } from "../errors.js";
import { callNow } from "./branches.js";

/**
 * Adds tags to every task that `body` calls, besides the tasks' own. They are part of the tasks' slugs.
 * @returns what `body` returns
 * @throws TASK_OPTIONS_INVALID, FLOW_BUILD_FAILED when `body` is async
 * @example
 * const rows = withTags(["database", "slow"], () => load(query()));
 */
export function withTags<T>(tags: readonly string[], body: () => T): T {
  const build = currentBuild("withTags() was called");
  if (!Array.isArray(tags) || !tags.every((tag) => typeof tag === "string" && tag.trim() !== "")) {
    throw new MillraceError("TASK_OPTIONS_INVALID", "withTags() takes a list of words that are not empty.", {
      hint: 'Write withTags(["database"], () => { … }).',
    });
  }
  return build.tagging(tags, () => callNow("withTags()", body));
}
