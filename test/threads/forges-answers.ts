import { MessagePort } from "node:worker_threads";

/** A worker without hardenThread: it finds piscina's port as flow code might, and sends what it is told over it. */
export async function run(kind: "null" | "number" | "another task" | "twice"): Promise<string> {
  const handles = (process as unknown as { _getActiveHandles(): unknown[] })._getActiveHandles();
  const message = { null: null, number: 5, "another task": { taskId: -1, result: "forged", error: null }, twice: {} }[
    kind
  ];
  for (const handle of handles) if (handle instanceof MessagePort) handle.postMessage(message);
  await new Promise((resolve) => setTimeout(resolve, 1_000));
  return "done";
}
