import { createHash, randomUUID } from "node:crypto";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { mkdir, readFile, readlink, rename, rm, symlink, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import type { ExternalPackage, FlowBundle } from "../codec/saved-flow.js";
import { millraceHome } from "../core/home.js";
import { findPackage } from "./find-package.js";

/** What unpacking needs to know of a saved flow. */
export interface Unpackable {
  hash: string;
  bundle: FlowBundle;
  external: readonly ExternalPackage[];
  projectFolder: string;
}

export const BUNDLE_FILE = "flow.mjs";

/**
 * Makes the folder from which a saved flow's code is imported, and returns the file to import:
 *
 *     <cache>/<hash>-<links>/flow.mjs, flow.mjs.map
 *                            node_modules/millrace   → the package that runs right now
 *                            node_modules/<external> → the project's own
 *
 * The link makes the flow's `import "millrace"` the very module that loads it. Several processes and threads may do
 * this at once: each makes a folder of its own and renames it into place, and the first one stays.
 * @param cacheFolder Default `cache` in the Millrace home; it may be deleted whenever nothing runs.
 * @throws PACKAGE_NOT_FOUND for an external package that the project does not have
 */
export async function unpackBundle(
  saved: Unpackable,
  cacheFolder: string = join(millraceHome(), "cache"),
): Promise<string> {
  const links = new Map([["millrace", ownPackageFolder()]]);
  for (const each of saved.external) links.set(each.name, findPackage(each, saved.projectFolder).folder);
  // Two hosts with packages of their own never share a folder.
  const linksKey = createHash("sha256")
    .update(JSON.stringify([...links]))
    .digest("hex")
    .slice(0, 12);
  const folder = join(cacheFolder, `${saved.hash}-${linksKey}`);
  const file = join(folder, BUNDLE_FILE);
  if (await isWhole(folder, saved.bundle, links)) return file;

  const made = join(cacheFolder, `.${randomUUID()}.tmp`);
  try {
    await fill(made, saved.bundle, links);
    await putInPlace(made, folder, () => isWhole(folder, saved.bundle, links));
  } finally {
    await rm(made, { recursive: true, force: true });
  }
  return file;
}

async function fill(folder: string, bundle: FlowBundle, links: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(join(folder, "node_modules"), { recursive: true, mode: 0o700 });
  await Promise.all([
    writeFile(join(folder, BUNDLE_FILE), bundle.code),
    writeFile(join(folder, `${BUNDLE_FILE}.map`), bundle.map),
  ]);
  for (const [name, target] of links) {
    const link = join(folder, "node_modules", name);
    await mkdir(dirname(link), { recursive: true });
    await symlink(target, link, "junction");
  }
}

/** Renames `made` to `folder`. What stands there already is another's whole copy, which stays, or a damaged one, which goes. */
async function putInPlace(made: string, folder: string, isThere: () => Promise<boolean>): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await rename(made, folder);
    } catch (error) {
      if (await isThere()) return;
      if (attempt === 5) throw error;
      const aside = `${made}.${attempt}`;
      await rename(folder, aside).catch(() => {});
      await rm(aside, { recursive: true, force: true });
    }
  }
}

async function isWhole(folder: string, bundle: FlowBundle, links: ReadonlyMap<string, string>): Promise<boolean> {
  try {
    const [code, map, ...targets] = await Promise.all([
      readFile(join(folder, BUNDLE_FILE)),
      readFile(join(folder, `${BUNDLE_FILE}.map`)),
      ...[...links.keys()].map((name) => readlink(join(folder, "node_modules", name))),
    ]);
    const same = [...links.values()].every((target, index) => samePath(targets[index]!, target));
    return same && code.equals(bundle.code) && map.equals(bundle.map);
  } catch {
    return false;
  }
}

/** Windows gives a junction's target back with a separator at its end. */
function samePath(a: string, b: string): boolean {
  return a.replace(/[\\/]$/, "") === b.replace(/[\\/]$/, "");
}

let ownFolder: string | undefined;

/** The folder of the Millrace that is running: the nearest package.json above this file. */
function ownPackageFolder(): string {
  if (ownFolder !== undefined) return ownFolder;
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!isOwnPackage(join(folder, "package.json"))) folder = dirname(folder);
  ownFolder = realpathSync(folder);
  return ownFolder;
}

function isOwnPackage(file: string): boolean {
  if (dirname(file) === dirname(dirname(file))) return true;
  return existsSync(file) && (JSON.parse(readFileSync(file, "utf8")) as { name?: string }).name === "millrace";
}
