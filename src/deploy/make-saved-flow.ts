import { existsSync, readFileSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join, relative, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { encodeSavedFlow, type FlowManifest } from "../codec/saved-flow.js";
import { isMillraceError } from "../core/errors.js";
import { hashFlowSpec, sha256 } from "../core/flow-spec.js";
import type { StorageOptions } from "../core/options/flow-storage.js";
import type { RunConfig } from "../core/options/run-config.js";
import { checkSchedule } from "../schedule/check-schedule.js";
import { unpackBundle } from "../storage/unpack.js";
import type { DescribedFlow } from "../threads/messages.js";
import { type Bundled, bundleModule } from "./bundle.js";
import { type DescribeOptions, describeInThread } from "./describe-in-thread.js";

export interface MakeOptions extends DescribeOptions {
  /** Packages to leave outside, besides those that the flow itself lists. */
  external?: readonly string[];
}

/** A saved flow in memory. */
export interface MadeFlow {
  manifest: FlowManifest;
  hash: string;
  bytes: Uint8Array;
  bundled: Bundled;
  /** What the flow's own options say; null: nothing. */
  storage: StorageOptions | null;
  runConfig: RunConfig | null;
}

/**
 * Bundles a module, loads the bundle in a clean thread, and makes a saved flow of each flow that it defines there.
 * @param flowName The one flow wanted; all of the module's when absent.
 * @throws BUNDLE_FAILED, PACKAGE_NOT_FOUND, FLOW_LOAD_FAILED, FLOW_NOT_IN_MODULE, SAVED_FLOW_TOO_LARGE
 */
export async function makeSavedFlows(
  entry: string,
  flowName: string | undefined,
  options: MakeOptions,
): Promise<MadeFlow[]> {
  const projectFolder = projectFolderOf(entry);
  const { bundled, flows } = await bundleAndDescribe(
    { entry, projectFolder, flowName },
    options.external ?? [],
    options,
  );
  return flows.map(({ spec, options: flowOptions, storage, runConfig }) => {
    if (spec.schedule !== null) checkSchedule(spec.schedule);
    const manifest: FlowManifest = {
      spec,
      specHash: hashFlowSpec(spec),
      options: flowOptions,
      millraceVersion: millraceVersion(),
      entry: relative(projectFolder, entry).split(sep).join("/"),
      projectFolder,
      external: bundled.external,
    };
    return { manifest, bundled, storage, runConfig, ...encodeSavedFlow(manifest, bundled.bundle) };
  });
}

interface Module {
  entry: string;
  projectFolder: string;
  flowName: string | undefined;
}

/** What the flows list as `external` is known only when they were loaded; packages that were not known before take a second round. */
async function bundleAndDescribe(
  module: Module,
  external: readonly string[],
  options: DescribeOptions,
): Promise<{ bundled: Bundled; flows: DescribedFlow[] }> {
  const first = await attempt(module, external, options);
  const { flows } = first.done ?? { flows: await describeInPlace(module, options, first.failure) };
  const listed = new Set([...external, ...flows.flatMap((each) => each.options.external)]);
  if (listed.size === new Set(external).size) {
    if (first.done) return first.done;
    throw first.failure;
  }
  const second = await attempt(module, [...listed], options);
  if (second.done) return second.done;
  throw second.failure;
}

type Attempt =
  | { done: { bundled: Bundled; flows: DescribedFlow[] }; failure?: undefined }
  | { done?: undefined; failure: unknown };

async function attempt(module: Module, external: readonly string[], options: DescribeOptions): Promise<Attempt> {
  try {
    const bundled = await bundleModule({ entry: module.entry, projectFolder: module.projectFolder, external });
    return { done: { bundled, flows: await describeBundle(module, bundled, options) } };
  } catch (failure) {
    return { failure };
  }
}

async function describeBundle(
  { entry, projectFolder, flowName }: Module,
  { bundle, external }: Bundled,
  options: DescribeOptions,
): Promise<DescribedFlow[]> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-"));
  try {
    const bundleFile = await unpackBundle({ hash: sha256(bundle.code), bundle, external, projectFolder }, folder);
    return await describeInThread(
      { bundleFile, sourceFile: entry, ...(flowName === undefined ? {} : { flowName }) },
      options,
    );
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/**
 * Where a package cannot be bundled, the flow may list it: it is asked with all packages loaded from where they are
 * installed, which needs this machine and is good for nothing else.
 */
async function describeInPlace(module: Module, options: DescribeOptions, failure: unknown): Promise<DescribedFlow[]> {
  // A module that hangs or exits does so again.
  const threw = isMillraceError(failure, "FLOW_LOAD_FAILED") && failure.cause !== undefined;
  if (!threw && !isMillraceError(failure, "BUNDLE_FAILED")) throw failure;
  const { entry, projectFolder } = module;
  try {
    const bundled = await bundleModule({ entry, projectFolder, external: [], packagesInPlace: true });
    return await describeBundle(module, bundled, options);
  } catch {
    // It was no package's fault: the first failure is the one to mend.
    throw failure;
  }
}

/** The folder of the nearest package.json, or the file's own where there is none. */
export function projectFolderOf(file: string): string {
  for (let folder = dirname(file); ; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json"))) return folder;
    if (folder === dirname(folder)) return dirname(file);
  }
}

let ownVersion: string | undefined;

function millraceVersion(): string {
  const own = projectFolderOf(fileURLToPath(import.meta.url));
  ownVersion ??= (JSON.parse(readFileSync(join(own, "package.json"), "utf8")) as { version: string }).version;
  return ownVersion;
}
