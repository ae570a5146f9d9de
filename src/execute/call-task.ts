import type { MessagePort } from "node:worker_threads";
import { type CalledTask, type CallOutcome, toOutcome } from "../codec/call-outcome.js";
import { unpackValue } from "../codec/crossing.js";
import { toFailure } from "../codec/failure.js";
import { MillraceError } from "../core/errors.js";
import type { FlowTask } from "../core/flow-definition.js";
import { callHere } from "../engine/executors.js";
import type { CallRequest, FlowCode } from "../threads/task-messages.js";
import { askPort } from "../threads/task-port.js";
import { callContext, type SharedContext, unpackRunFacts } from "./call-context.js";
import { hashTasks } from "./hash-tasks.js";
import { importFlows, pickFlow } from "./import-flows.js";

/** What is known of a task where its outcome leaves a thread, and where it arrives. */
export function calledTask({ name, options: { retryOn } }: FlowTask): CalledTask {
  return { name, retryOn: typeof retryOn === "function" || retryOn === undefined ? [] : retryOn };
}

/** The tasks of one flow, in a thread of their own. */
export interface TaskCaller {
  /** Never rejects. */
  call(request: CallRequest): Promise<CallOutcome>;
}

/**
 * Loads a flow into this thread, to call its tasks.
 * @throws what loading throws; TASK_IDS_CHANGED when its code built other tasks here than in the flow run's thread
 */
export async function openTaskCaller(code: FlowCode, port: MessagePort): Promise<TaskCaller> {
  const flow = pickFlow(await importFlows(new URL(code.moduleUrl), code.flowName), code.flowName, code.moduleUrl);
  if (hashTasks(flow) !== code.tasksHash) {
    const message = `Flow "${flow.name}" built other tasks in a thread for its tasks than in the thread of its run.`;
    throw new MillraceError("TASK_IDS_CHANGED", message, {
      hint: "Let nothing in the module's top level or the build function depend on time, randomness, the environment or on being the first to load.",
    });
  }
  const tasks = new Map(flow.tasks.map((each) => [each.slug, each]));
  const asking = askPort(port);
  let shared: SharedContext = { fields: {}, parameters: () => ({}) };
  return {
    async call({ callId, taskSlug, args, facts, run }) {
      if (run) shared = unpackRunFacts(run);
      const task = tasks.get(taskSlug);
      if (!task?.fn) return { kind: "threw", failure: toFailure(noSuchTask(taskSlug)), retryOn: -1 };
      const { fn } = task;
      const links = asking.begin(callId, (reason) => signal.abort(reason));
      const { context, signal } = callContext(shared, facts, links);
      return toOutcome(() => {
        const logPrints = task.options.logPrints === true;
        return callHere({ fn, args: unpackValue(args) as unknown[], context, logPrints });
      }, calledTask(task));
    },
  };
}

function noSuchTask(taskSlug: string): MillraceError {
  return new MillraceError("INTERNAL", `A thread was asked to call the task "${taskSlug}", which it does not have.`);
}
