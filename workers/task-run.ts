import { isMainThread } from "node:worker_threads";
import { toFailure } from "../src/codec/failure.js";
import { MillraceError } from "../src/core/errors.js";
import { openTaskCaller, type TaskCaller } from "../src/execute/call-task.js";
import { openRunScope } from "../src/threads/run-scope.js";
import type { TaskThreadReply, TaskThreadRequest } from "../src/threads/task-messages.js";

/**
 * A thread for the tasks of one flow run, one at a time. Under an agent it is started by a hardened thread, and is hardened
 * by that before this file is loaded.
 */
if (isMainThread) {
  throw new MillraceError(
    "MAIN_THREAD_ONLY",
    "workers/task-run was loaded on the main thread; it is the entry of a worker thread.",
  );
}

const scope = openRunScope();
let caller: TaskCaller;

export async function run(request: TaskThreadRequest): Promise<TaskThreadReply> {
  if (request.about === "load") {
    try {
      caller = await openTaskCaller(request.code, request.port);
      return { about: "load", failure: null };
    } catch (error) {
      return { about: "load", failure: toFailure(error) };
    }
  }
  const { result: outcome, late } = await scope.enterCall(() => caller.call(request.call));
  return { about: "call", outcome, isSpoilt: late.length > 0 };
}
