import { readFile } from "node:fs/promises";
import type { RegisteredFlow } from "../client/cloud.js";
import { decodeSavedFlow, type SavedFlow } from "../codec/saved-flow.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { diffSchedules, diffSpecs, type SpecDifference } from "../core/spec-diff.js";
import { fetchSavedFlow } from "../storage/open.js";
import type { MadeFlow, MakeOptions } from "./make-saved-flow.js";
import { makeSavedFlow } from "./save.js";

/**
 * What deploying the flow in the caller's hands would change: no rows when a deploy would register the same code. The
 * flow is bundled and loaded in a clean thread, and nothing is written.
 *
 * A row "(module)" stands for a change outside the tasks' own text: a helper, a dependency.
 * @throws what saveFlow throws
 */
export async function compareWithDeployed(
  flow: FlowDefinition,
  registered: Pick<RegisteredFlow, "spec" | "storage">,
  options: MakeOptions = {},
): Promise<SpecDifference[]> {
  const made = await makeSavedFlow(flow, options);
  const { spec, storage } = registered;
  if (made.hash === storage.hash) return [];
  const rows = [...diffSpecs(spec, made.manifest.spec), ...diffSchedules(spec, made.manifest.spec)];
  if (rows.length > 0) return rows;
  const deployed = await readDeployed(storage);
  if (deployed && hasSameCode(deployed, made)) return [];
  const before = deployed ? storage.hash.slice(0, 10) : `${storage.hash.slice(0, 10)} (not on this machine)`;
  return [{ kind: "body changed", slug: "(module)", before, after: made.hash.slice(0, 10) }];
}

/** The saved flow itself, where this machine can read it; without it the hashes have to do. */
async function readDeployed(storage: RegisteredFlow["storage"]): Promise<SavedFlow | undefined> {
  try {
    return decodeSavedFlow(await readFile(await fetchSavedFlow(storage)));
  } catch {
    return undefined;
  }
}

/** The hash also changes with Millrace's own version, which is no change of the flow. */
function hasSameCode(deployed: SavedFlow, { bundled, manifest }: MadeFlow): boolean {
  const rest = ({ options, external }: SavedFlow["manifest"]) => JSON.stringify([options, external]);
  return Buffer.from(bundled.bundle.code).equals(deployed.bundle.code) && rest(manifest) === rest(deployed.manifest);
}
