import { isMainThread } from "node:worker_threads";
import { MillraceError } from "../src/core/errors.js";
import { executeFlowRun } from "../src/execute/execute-flow-run.js";
import { connectHost } from "../src/threads/endpoint.js";
import { hardenThread } from "../src/threads/harden.js";
import type { FlowRunTask, FlowRunTaskReply } from "../src/threads/messages.js";
import { openRunScope } from "../src/threads/run-scope.js";

/** A worker thread of the agent: runs one flow run at a time, all of them of one saved flow. */
if (isMainThread) {
  throw new MillraceError(
    "MAIN_THREAD_ONLY",
    "workers/flow-run was loaded on the main thread; it is the entry of a worker thread.",
  );
}

hardenThread();
process.setSourceMapsEnabled(true);
const scope = openRunScope();

export async function run({ request, port }: FlowRunTask): Promise<FlowRunTaskReply> {
  const { host, close } = connectHost(port);
  try {
    const { result: reply, leftovers } = await scope.enter((loaded) => executeFlowRun(request, host, loaded));
    return { reply, leftovers };
  } finally {
    close();
  }
}
