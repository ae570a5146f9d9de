import { isMainThread, parentPort, workerData } from "node:worker_threads";
import { toFailure } from "../src/codec/failure.js";
import { MillraceError } from "../src/core/errors.js";
import { describeAtExit, describeFlows } from "../src/execute/describe-flow.js";
import type { DescribeReply, DescribeRequest } from "../src/threads/messages.js";

// Loads a saved flow, or a bundle, in a clean thread and says what flows it builds. Runs none of them.
if (isMainThread || !parentPort) {
  throw new MillraceError("MAIN_THREAD_ONLY", "workers/describe-flow is a worker thread's file.", {
    hint: "Use describeInThread() of src/deploy.",
  });
}

const request = workerData as DescribeRequest;
const port = parentPort;
process.once("exit", (code) => {
  const specs = code === 0 ? describeAtExit(request) : [];
  if (specs.length > 0) port.postMessage({ specs } satisfies DescribeReply);
});

const reply = await describeFlows(request).then(
  (specs): DescribeReply => ({ specs }),
  (error: unknown): DescribeReply => ({ failure: toFailure(error) }),
);
port.postMessage(reply);
