import { availableParallelism } from "node:os";
import { fromOutcome } from "../codec/call-outcome.js";
import { packArguments } from "../codec/crossing.js";
import { isOwnFunction } from "../core/control/own-function.js";
import type { FlowDefinition, FlowTask } from "../core/flow-definition.js";
import type { Executor, TaskCall } from "../core/options/executor.js";
import { inlineExecutor } from "../engine/executors.js";
import type { FlowCode } from "../threads/task-messages.js";
import { TaskPool } from "../threads/task-pool.js";
import type { TaskThread } from "../threads/task-thread.js";
import { packCallFacts, packRunFacts } from "./call-context.js";
import { calledTask } from "./call-task.js";

/** Time enough for the largest bundle on a busy machine; a module that takes longer is waiting for something. */
const LOAD_LIMIT_MS = 60_000;

/**
 * Calls tasks on `size` threads that have loaded the flow's code too. The run's own thread calls those that are `inline`,
 * as what Millrace itself puts into a flow is, and those whose values are bound to it: resources, and what cleans them up.
 * @param size Default: as many as the machine has processors.
 */
export function threadExecutor(
  flow: FlowDefinition,
  size = availableParallelism(),
  code: () => Promise<FlowCode>,
): Executor {
  const tasks = new Map(flow.tasks.map((each) => [each.slug, each]));
  const here = inlineExecutor(size);
  const pool = new TaskPool({
    size,
    code,
    flowName: flow.name,
    env: environment(),
    maxHeapMb: flow.options.maxHeapMb ?? null,
    loadLimitMs: LOAD_LIMIT_MS,
  });
  return {
    limit: size,
    async ready(taskSlug) {
      if (!staysHere(tasks.get(taskSlug))) await pool.ready();
    },
    call(call) {
      const task = tasks.get(call.context.taskSlug);
      return task === undefined || staysHere(task) ? here.call(call) : callThere(pool, task, call);
    },
    close: () => pool.close(),
  };
}

function staysHere(task: FlowTask | undefined): boolean {
  if (!task?.fn) return true;
  return task.options.inline === true || task.resetOnResume || task.cleansUp || isOwnFunction(task.fn);
}

async function callThere(pool: TaskPool, task: FlowTask, { args, context, hardStop }: TaskCall): Promise<unknown> {
  const request = (thread: TaskThread) => ({
    taskSlug: task.slug,
    args: packArguments(args, task.name),
    facts: packCallFacts(context),
    run: thread.used ? null : packRunFacts(context),
  });
  const { taskName, logger, signal } = context;
  const secret = (name: string) => context.secret(name);
  const { outcome } = await pool.call(request, { taskName, logger, secret, signal, hardStop });
  return fromOutcome(outcome, calledTask(task));
}

/** What the thread of the flow run has. NODE_OPTIONS would load the host's own tools into each thread. */
function environment(): Record<string, string> {
  const { NODE_OPTIONS: _, ...env } = process.env;
  return env as Record<string, string>;
}
