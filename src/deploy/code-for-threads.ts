import { existsSync } from "node:fs";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { FlowDefinition } from "../core/flow-definition.js";
import { sha256 } from "../core/flow-spec.js";
import { hashTasks } from "../execute/hash-tasks.js";
import { loadedCode } from "../execute/load-saved-flow.js";
import { unpackBundle } from "../storage/unpack.js";
import type { FlowCode } from "../threads/task-messages.js";
import { bundleModule } from "./bundle.js";
import { projectFolderOf } from "./make-saved-flow.js";
import { sourceOf } from "./save.js";

/** Bundled once a process. By the list of tasks, which copies of a definition share. */
const bundled = new WeakMap<FlowDefinition["tasks"], Promise<FlowCode>>();

/**
 * Where threads of this process find the code of a flow that is in the caller's hands: where it was loaded from, or else
 * its module, bundled as a deploy does it, so that TypeScript and packages are no matter of what the process was started
 * with. What the threads build is compared with the flow there, by its hash.
 * @throws FLOW_SOURCE_UNKNOWN, BUNDLE_FAILED, PACKAGE_NOT_FOUND
 */
export async function codeForThreads(flow: FlowDefinition): Promise<FlowCode> {
  const known = loadedCode(flow) ?? (await bundled.get(flow.tasks));
  // The cache may be deleted whenever nothing runs.
  if (known && existsSync(fileURLToPath(known.moduleUrl))) return known;
  const bundling = bundle(flow);
  bundled.set(flow.tasks, bundling);
  bundling.catch(() => bundled.delete(flow.tasks));
  return bundling;
}

async function bundle(flow: FlowDefinition): Promise<FlowCode> {
  const entry = await sourceOf(flow);
  const projectFolder = projectFolderOf(entry);
  const { bundle, external } = await bundleModule({ entry, projectFolder, external: flow.options.external ?? [] });
  const file = await unpackBundle({ hash: sha256(bundle.code), bundle, external, projectFolder });
  return { moduleUrl: pathToFileURL(file).href, flowName: flow.name, tasksHash: hashTasks(flow) };
}
