import { readFile, stat } from "node:fs/promises";
import { pathToFileURL } from "node:url";
import { decodeSavedFlow, type FlowManifest, MAX_SAVED_FLOW_BYTES, type SavedFlow } from "../codec/saved-flow.js";
import { isMillraceError, MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { type FlowSpec, hashFlowSpec, toFlowSpec } from "../core/flow-spec.js";
import { unpackBundle } from "../storage/unpack.js";
import type { FlowCode } from "../threads/task-messages.js";
import { hashTasks } from "./hash-tasks.js";
import { importFlows, pickFlow } from "./import-flows.js";

/** A saved flow whose code was loaded into this thread. */
export interface LoadedFlow {
  manifest: FlowManifest;
  hash: string;
  flow: FlowDefinition;
  /** What the code built here and now; {@link checkTaskIds} compares it with what was saved and registered. */
  spec: FlowSpec;
  specHash: string;
}

/** By hash: a thread serves many runs of one saved flow, and loads it for the first. */
const loaded = new Map<string, Promise<LoadedFlow>>();

/**
 * Reads a saved flow, checks it, and loads its code into this thread, once for each hash.
 * @param hash What the Cloud registered; the file must carry the same. Left out: whatever flow the file holds.
 * @throws SAVED_FLOW_NOT_FOUND, SAVED_FLOW_CORRUPT, SAVED_FLOW_VERSION, SAVED_FLOW_TOO_LARGE, PACKAGE_NOT_FOUND,
 * FLOW_LOAD_FAILED, FLOW_NOT_IN_MODULE, STORAGE_FAILED
 */
export async function loadSavedFlow(file: string, hash?: string): Promise<LoadedFlow> {
  const known = hash === undefined ? undefined : loaded.get(hash);
  if (known) return known;
  const saved = await readSavedFlow(file);
  if (hash !== undefined && saved.hash !== hash) {
    throw new MillraceError(
      "SAVED_FLOW_CORRUPT",
      `The saved flow "${file}" has the hash ${saved.hash}; ${hash} was registered.`,
      {
        hint: "The file is not the one that was deployed. Deploy the flow again.",
      },
    );
  }
  const loading = loaded.get(saved.hash) ?? load(saved);
  loaded.set(saved.hash, loading);
  // A failure is not kept: what was missing (a package, a file, a server) may be there at the next try.
  loading.catch(() => loaded.delete(saved.hash));
  return loading;
}

/** How often loading failed in this thread, by hash. */
const failures = new Map<string, number>();

/** Reads and checks the file, and loads nothing. @throws see {@link loadSavedFlow} */
export async function readSavedFlow(file: string): Promise<SavedFlow> {
  try {
    const { size } = await stat(file);
    // A file far over the limit is not read to be told so; decoding gives the error.
    if (size <= MAX_SAVED_FLOW_BYTES) return decodeSavedFlow(await readFile(file));
    throw new MillraceError(
      "SAVED_FLOW_TOO_LARGE",
      `The file "${file}" has ${size} bytes; a saved flow has ${MAX_SAVED_FLOW_BYTES} at most.`,
      {
        hint: "Read data from files at run time in place of importing it, or list large packages in the flow's `external` option.",
      },
    );
  } catch (cause) {
    if (isMillraceError(cause)) throw cause;
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") {
      throw new MillraceError("SAVED_FLOW_NOT_FOUND", `There is no saved flow at "${file}".`, {
        hint: "Check the path, or save the flow again.",
        cause,
      });
    }
    throw new MillraceError("STORAGE_FAILED", `The saved flow "${file}" cannot be read: ${(cause as Error).message}`, {
      cause,
    });
  }
}

async function importFlow(module: URL, { spec, entry }: FlowManifest): Promise<FlowDefinition> {
  return pickFlow(await importFlows(module, spec.name), spec.name, entry);
}

async function load(saved: SavedFlow): Promise<LoadedFlow> {
  const { hash, manifest, bundle } = saved;
  const { external, projectFolder } = manifest;
  const file = await unpackBundle({ hash, bundle, external, projectFolder });
  const module = pathToFileURL(file);
  const failed = failures.get(hash) ?? 0;
  // Node keeps a module that threw, by its URL: under another one the code runs anew. Packages that it imports stay as they
  // are, which is why an agent's thread is not used again after a failure.
  if (failed > 0) module.search = `?again=${failed}`;
  const flow = await importFlow(module, manifest).catch((error: unknown) => {
    failures.set(hash, failed + 1);
    throw error;
  });
  const built = toFlowSpec(flow);
  modules.set(flow.tasks, module.href);
  return { manifest, hash, flow, spec: built, specHash: hashFlowSpec(built) };
}

/** The unpacked bundle of each flow that was loaded, by its list of tasks, which copies of a definition share. */
const modules = new WeakMap<FlowDefinition["tasks"], string>();

/** Where other threads find the code of a flow that was loaded into this one; undefined for any other flow. */
export function loadedCode(flow: FlowDefinition): FlowCode | undefined {
  const moduleUrl = modules.get(flow.tasks);
  return moduleUrl === undefined ? undefined : { moduleUrl, flowName: flow.name, tasksHash: hashTasks(flow) };
}
