import { isMillraceError, MillraceError } from "./errors.js";
import { type BuildFlow, FlowBuilder } from "./flow-builder.js";
import type { FlowDefinition, FlowOptions } from "./flow-definition.js";
import { checkFlowOptions } from "./options/check-options.js";

/** The flow being built right now; a build function is synchronous, so there is one at most. */
let current: FlowBuilder | undefined;

/** The build under way; `what` begins the message when there is none. */
export function currentBuild(what: string): FlowBuilder {
  if (current) return current;
  throw new MillraceError("TASK_CALLED_OUTSIDE_FLOW", `${what} where no flow is being built.`, {
    hint: "Call it inside the function given to flow(). To run a task's code on its own, call its `fn`.",
  });
}

/** Runs the author's build function and returns the flow it describes. */
export function buildFlow(
  name: string,
  options: FlowOptions,
  build: BuildFlow<unknown>,
  sourceFile: string | undefined,
): FlowDefinition {
  checkFlowOptions(name, options);
  const outer = current;
  const builder = new FlowBuilder(name, options, sourceFile);
  current = builder;
  try {
    const output = callBuild(name, build, builder);
    if (output instanceof Promise) {
      output.catch(() => {});
      throw new MillraceError("FLOW_BUILD_FAILED", `The build function of flow "${name}" is async.`, {
        hint: "Build the flow synchronously; put what must be awaited into a task.",
      });
    }
    return builder.finish(output);
  } finally {
    current = outer;
  }
}

/** An error of the author's own code becomes FLOW_BUILD_FAILED, so that whoever loads the flow can say what happened. */
function callBuild(name: string, build: BuildFlow<unknown>, builder: FlowBuilder): unknown {
  try {
    return build(builder.authorSide);
  } catch (error) {
    if (isMillraceError(error)) throw error;
    const thrown = error instanceof Error ? `${error.name}: ${error.message}` : String(error);
    const at = error instanceof Error ? /^\s+(at .+)$/m.exec(error.stack ?? "")?.[1] : undefined;
    throw new MillraceError("FLOW_BUILD_FAILED", `The build function of flow "${name}" threw ${thrown}`, {
      ...(at === undefined ? {} : { hint: `It was thrown ${at}.` }),
      cause: error,
    });
  }
}
