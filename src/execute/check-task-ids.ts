import type { FlowManifest } from "../codec/saved-flow.js";
import type { MillraceError } from "../core/errors.js";
import type { FlowSpec } from "../core/flow-spec.js";
import { diffSpecs, taskIdsChanged } from "../core/spec-diff.js";

/** Which of the three lists of tasks is not like the saved flow's manifest. */
export interface Mismatch {
  /** The Cloud registered other tasks than the saved flow's manifest holds. */
  registered: boolean;
  /** Loading the saved flow's code built other tasks than its manifest holds. */
  built: boolean;
}

/** The three-way check before a run's first task, by hashes alone: undefined when all three are the same flow. */
export function checkTaskIds(sides: {
  registeredSpecHash: string;
  manifest: FlowManifest;
  builtSpecHash: string;
}): Mismatch | undefined {
  const { registeredSpecHash, manifest, builtSpecHash } = sides;
  const mismatch = { registered: registeredSpecHash !== manifest.specHash, built: builtSpecHash !== manifest.specHash };
  return mismatch.registered || mismatch.built ? mismatch : undefined;
}

export interface MismatchSides {
  registered: { spec: FlowSpec; specHash: string; version: number };
  manifest: Pick<FlowManifest, "spec" | "specHash">;
  built: { spec: FlowSpec; specHash: string };
}

/** The same three lists compared task by task: TASK_IDS_CHANGED with the diff, the side that is stale, and what to do. */
export function explainMismatch({ registered, manifest, built }: MismatchSides): MillraceError {
  const cloud = { label: `the Cloud (version ${registered.version})`, spec: registered.spec };
  const saved = { label: "the saved flow", spec: manifest.spec };
  const code = { label: "its code, loaded here", spec: built.spec };
  if (built.specHash !== manifest.specHash && registered.specHash === manifest.specHash) {
    return taskIdsChanged(saved.spec.name, saved, code, diffSpecs(saved.spec, code.spec), NOT_DETERMINISTIC);
  }
  if (built.specHash === registered.specHash) {
    return taskIdsChanged(
      saved.spec.name,
      cloud,
      saved,
      diffSpecs(cloud.spec, saved.spec),
      "The saved flow's own list is stale: the file was changed after the deploy. Deploy the flow again.",
    );
  }
  const hint =
    built.specHash === manifest.specHash
      ? "The Cloud's list is stale: the saved flow was replaced after the deploy. Deploy the flow again."
      : `No two of the three lists agree. Deploy the flow again. ${NOT_DETERMINISTIC}`;
  return taskIdsChanged(saved.spec.name, cloud, code, diffSpecs(cloud.spec, code.spec), hint);
}

/** Also what a deploy says when two loads of one saved flow differ. */
export const NOT_DETERMINISTIC =
  "The flow does not build the same way each time: let nothing in the module's top level or the build function depend on time, randomness, the environment, the current folder or files; use parameters and tasks for that.";
