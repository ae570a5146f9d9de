import { existsSync } from "node:fs";
import { realpath } from "node:fs/promises";
import { resolve } from "node:path";
import type { FlowManifest } from "../codec/saved-flow.js";
import { MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { Local, type StorageOptions } from "../core/options/flow-storage.js";
import type { RunConfig } from "../core/options/run-config.js";
import { chosenStorage } from "../storage/open.js";
import type { Storage, StorageLocation } from "../storage/storage.js";
import { writeWhole } from "../storage/write-file.js";
import { checkSameFlow } from "./check-same-flow.js";
import { type MadeFlow, type MakeOptions, makeSavedFlows } from "./make-saved-flow.js";

export interface SaveOptions extends MakeOptions {
  /** The file to write, in place of a storage. */
  path?: string;
  /** Default: the flow's own, and Local when it has none. */
  storage?: StorageOptions;
  /** Told how far the saved flow has gone to a storage that is not on this machine, and how far it has come back for the load check. */
  onTransfer?: (sentBytes: number, totalBytes: number) => void;
}

/** A saved flow's file on this machine. */
export interface SavedFlowFile {
  /** Absolute. */
  readonly path: string;
  /** SHA-256, hex. */
  readonly hash: string;
  readonly sizeBytes: number;
}

/** A saved flow in its storage. */
export interface StoredFlow {
  readonly manifest: FlowManifest;
  readonly hash: string;
  readonly sizeBytes: number;
  readonly location: StorageLocation;
  readonly storage: Storage;
  /** What the flow's own options say; null: nothing. */
  readonly runConfig: RunConfig | null;
}

/**
 * Saves the flow in the caller's hands: its module is bundled, loaded in a clean thread, and what that builds must be
 * this very flow.
 * @throws FLOW_SOURCE_UNKNOWN, BUNDLE_FAILED, PACKAGE_NOT_FOUND, FLOW_LOAD_FAILED, FLOW_NOT_IN_MODULE, TASK_IDS_CHANGED,
 * SAVED_FLOW_TOO_LARGE, STORAGE_FAILED
 */
export async function saveFlow(flow: FlowDefinition, options: SaveOptions = {}): Promise<SavedFlowFile> {
  // A flow's own storage is for deploying it: this file is for whoever asked.
  const { location, hash, sizeBytes } = await storeFlow(flow, { ...options, storage: options.storage ?? new Local() });
  return { path: location.location, hash, sizeBytes };
}

/** As {@link saveFlow}, with all that a deploy goes on to need. */
export async function storeFlow(flow: FlowDefinition, options: SaveOptions = {}): Promise<StoredFlow> {
  return store(await makeSavedFlow(flow, options), options);
}

/**
 * Saves the flows of a module without loading it in this thread, for the command line.
 * @param flowName The one flow wanted; all of the module's when absent.
 * @throws FILE_NOT_FOUND, and what {@link saveFlow} throws
 */
export async function saveModule(file: string, flowName?: string, options: SaveOptions = {}): Promise<StoredFlow[]> {
  const made = await makeSavedFlows(await existing(file), flowName, options);
  if (made.length === 0) {
    throw new MillraceError("FLOW_NOT_IN_MODULE", `Loading "${file}" defines no flow.`, {
      hint: "Call flow() at the top level of the module.",
    });
  }
  if (options.path !== undefined && made.length > 1) {
    const names = made.map(({ manifest }) => `"${manifest.spec.name}"`).join(", ");
    throw new MillraceError("USAGE", `"${file}" defines several flows (${names}), and one path was given.`, {
      hint: "Name the flow that is to be saved.",
    });
  }
  return Promise.all(made.map((each) => store(each, options)));
}

/** The saved flow of a flow in the caller's hands, written nowhere. @throws see {@link saveFlow} */
export async function makeSavedFlow(flow: FlowDefinition, options: MakeOptions = {}): Promise<MadeFlow> {
  const entry = await sourceOf(flow);
  const external = [...(flow.options.external ?? []), ...(options.external ?? [])];
  const [made] = await makeSavedFlows(entry, flow.name, { ...options, external });
  checkSameFlow(flow, made!.manifest.spec);
  return made!;
}

async function store(
  { manifest, hash, bytes, storage: own, runConfig }: MadeFlow,
  { path, storage: asked, onTransfer }: SaveOptions,
): Promise<StoredFlow> {
  const storage = await chosenStorage(path === undefined ? (asked ?? own ?? new Local()) : new Local());
  const location =
    path === undefined
      ? await storage.save(manifest.spec.name, hash, bytes, onTransfer ? { onProgress: onTransfer } : {})
      : await writeTo(resolve(path), hash, bytes);
  return { manifest, hash, sizeBytes: bytes.length, location, storage, runConfig };
}

async function writeTo(file: string, hash: string, bytes: Uint8Array): Promise<StorageLocation> {
  await writeWhole(file, bytes, true).catch((cause: Error) => {
    throw new MillraceError("STORAGE_FAILED", `The saved flow cannot be written to "${file}": ${cause.message}`, {
      hint: "Check that the folder can be written and the disk has room.",
      cause,
    });
  });
  return { type: "Local", location: file, hash };
}

/** The flow's module, as a real path. @throws FLOW_SOURCE_UNKNOWN */
export async function sourceOf({ name, sourceFile }: FlowDefinition): Promise<string> {
  if (sourceFile !== undefined && existsSync(sourceFile)) return realpath(sourceFile);
  const why =
    sourceFile === undefined ? "it was not defined in a file" : `the file "${sourceFile}" that defined it is gone`;
  throw new MillraceError("FLOW_SOURCE_UNKNOWN", `Flow "${name}" cannot be saved: ${why}.`, {
    hint: "Define the flow in a module of its own. Code given to `node -e` or typed at a prompt cannot be loaded again elsewhere.",
  });
}

async function existing(file: string): Promise<string> {
  const path = resolve(file);
  if (existsSync(path)) return realpath(path);
  throw new MillraceError("FILE_NOT_FOUND", `There is no file "${path}".`, {
    hint: "Name the module that calls flow().",
  });
}
