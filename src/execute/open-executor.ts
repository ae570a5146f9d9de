import { MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { type Executor, type ExecutorOptions, isExecutor } from "../core/options/executor.js";
import { inlineExecutor } from "../engine/executors.js";
import type { FlowCode } from "../threads/task-messages.js";

/**
 * The executor of one flow run; close it when the run has ended.
 * @param options The run's own choice; default: the flow's, and then `executors.concurrent()`.
 * @param code Where threads find the flow; asked when the first one starts.
 * @throws TASK_OPTIONS_INVALID
 */
export async function openExecutor(
  flow: FlowDefinition,
  options: ExecutorOptions | undefined,
  code: () => Promise<FlowCode>,
): Promise<Executor> {
  const chosen = options ?? flow.options.executor ?? { kind: "concurrent" };
  if (!isExecutor(chosen)) {
    throw new MillraceError("TASK_OPTIONS_INVALID", `Flow "${flow.name}" was to run on an executor that is none.`, {
      hint: "Use one of `executors`, for instance executors.threads({ size: 4 }).",
    });
  }
  if (chosen.kind === "sequential") return inlineExecutor(1);
  if (chosen.kind === "concurrent") return inlineExecutor(chosen.limit ?? Number.POSITIVE_INFINITY);
  // Most runs need no threads: what those take is loaded for them alone.
  const { threadExecutor } = await import("./thread-executor.js");
  return threadExecutor(flow, chosen.size, code);
}
