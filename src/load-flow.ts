import type { Flow } from "./flow.js";

/**
 * Reads a saved flow and loads its code into this thread.
 * @param path A file that `flow.save()` wrote.
 * @throws SAVED_FLOW_NOT_FOUND, SAVED_FLOW_CORRUPT, SAVED_FLOW_VERSION, SAVED_FLOW_TOO_LARGE, PACKAGE_NOT_FOUND, FLOW_LOAD_FAILED
 * @example
 * const orders = await loadFlow("orders.millrace");
 * await orders.run({ day: "2026-11-23" });
 */
export async function loadFlow(path: string): Promise<Flow> {
  const [{ loadSavedFlow }, { toAuthorFlow }] = await Promise.all([
    import("./execute/load-saved-flow.js"),
    import("./flow.js"),
  ]);
  const { flow } = await loadSavedFlow(path);
  // A copy of its own: calls that the module itself makes stay held back, those of the caller do not.
  return toAuthorFlow({ ...flow });
}
