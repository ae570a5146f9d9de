import { v5, v7 } from "uuid";

/** Namespace of task ids: made once, never changed, or every deployed flow's ids would change with it. */
const TASK_NAMESPACE = "5a0f2d1c-8a7e-4c39-9b39-0f1d6b9c9f52";

/** A new row id: UUIDv7, so that rows made later sort later and an index grows at its end. */
export function newId(): string {
  return v7();
}

/** The id of a task in a flow: the same wherever and whenever the flow is built. */
export function taskId(flowName: string, slug: string): string {
  return v5(`${flowName}\n${slug}`, TASK_NAMESPACE);
}
