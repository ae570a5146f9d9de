import { currentBuild } from "../building.js";
import { taskContext } from "../context.js";
import { MillraceError } from "../errors.js";
import { checkTaskOptions } from "../options/check-options.js";
import type { StandardSchema } from "../parameter.js";
import type { Input, Ref } from "../reference.js";
import { signals } from "../signal.js";
import type { TaskOptions } from "../task.js";
import { ownFunction } from "./own-function.js";

/** Options of {@link approval}; all of them optional. */
export interface ApprovalOptions<T> {
  /** Checks, and may convert, what the run is approved with; an input that it refuses leaves the task paused. */
  schema?: StandardSchema<T>;
  /** What people read who are to approve. Default: the approval's name. */
  message?: Input<string>;
  /** How long it waits, in milliseconds; then the task fails. Default: until someone comes. */
  withinMs?: number;
  /** Options of the task, for instance `tags` or `stateHandlers`, to tell someone. */
  options?: TaskOptions;
}

/**
 * A task that pauses until someone resumes it, in the Cloud or with `millrace resume`. Its output is what that one gives.
 * The run waits without a thread: it goes back to the Cloud when it has nothing else to do.
 * @throws TASK_OPTIONS_INVALID, FLOW_INVALID_NAME
 * @example
 * const release = approval("release", {
 *   schema: z.object({ version: z.string(), notes: z.string().optional() }),
 *   message: "Which version goes out?",
 * }).after(tests);
 * publish(pick(release, "version"));
 */
export function approval<T>(name: string, options: ApprovalOptions<T> & { schema: StandardSchema<T> }): Ref<T>;
export function approval<T = unknown>(name: string, options?: ApprovalOptions<T>): Ref<T>;
export function approval(
  name: string,
  { schema, message, withinMs, options }: ApprovalOptions<unknown> = {},
): Ref<unknown> {
  const build = currentBuild(`approval("${name}") was called`);
  if (typeof name !== "string" || name.trim() === "") {
    throw new MillraceError("FLOW_INVALID_NAME", "approval() takes a name that is not empty.");
  }
  checkTaskOptions(name, options ?? {});
  if (withinMs !== undefined && !(Number.isFinite(withinMs) && withinMs > 0)) {
    throw new MillraceError(
      "TASK_OPTIONS_INVALID",
      `Approval "${name}": \`withinMs\` must be milliseconds, more than 0.`,
    );
  }
  const vendor = schema?.["~standard"].vendor ?? "none";
  const fn = (text: string, within: number | undefined) => askFor(name, text, within, schema);
  return build.addTask({
    name,
    options: { ...options },
    fn: ownFunction(`millrace approval, schema ${vendor}`, fn),
    args: [message ?? name, withinMs],
    mapped: false,
  });
}

function askFor(
  name: string,
  message: string,
  withinMs: number | undefined,
  schema: StandardSchema<unknown> | undefined,
): unknown {
  const { resumed, resumedByTime, resumeInput } = taskContext();
  if (!resumed) {
    throw signals.pause(message, {
      ...(withinMs === undefined ? {} : { forMs: withinMs }),
      ...(schema ? { schema } : {}),
    });
  }
  if (resumedByTime) throw signals.fail(`Nobody approved "${name}" within ${withinMs} ms.`);
  return resumeInput;
}
