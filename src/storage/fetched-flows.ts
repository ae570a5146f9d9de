import { readdir, readFile, rm, stat, utimes } from "node:fs/promises";
import { join } from "node:path";
import { verifySavedFlow } from "../codec/saved-flow.js";
import { MillraceError } from "../core/errors.js";
import { millraceHome } from "../core/home.js";
import { writeWhole } from "./write-file.js";

/** Some two thousand usual flows (0.5 MB). */
const LIMIT_BYTES = 1024 ** 3;
/** A file that was asked for so lately may be about to be read by a thread, and stays whatever the limit says. */
const IN_USE_MS = 10 * 60_000;
/** A file's time is set anew this often at most; it only has to tell what is used from what is not. */
const TOUCH_MS = 60_000;

/** Saved flows of other machines on this one's disk, each under its hash. */
export interface FetchedFlows {
  /**
   * The file of that flow. `load` is asked once, however many ask at once in this process; another process may load it at
   * the same time, and one of the two files stays.
   * @throws what `load` throws, STORAGE_FAILED
   */
  get(hash: string, load: () => Promise<Uint8Array>): Promise<string>;
}

export interface FetchedFlowsOptions {
  /** Default `fetched` in the Millrace home; it may be deleted whenever nothing runs. */
  folder?: string;
  /** Above it the files go that were not used for the longest time. Default 1 GiB. */
  limitBytes?: number;
  now?: () => number;
}

/** What is being fetched in this process, by file. */
const underWay = new Map<string, Promise<string>>();
/** Files that this process has found whole, as they then were: one that is another now is looked at again. */
const found = new Map<string, { print: string; touchedAt: number }>();

/**
 * The disk's flows are checked when this process first meets them: a damaged file is fetched again. Several processes may
 * share the folder.
 */
export function fetchedFlows({
  folder,
  limitBytes = LIMIT_BYTES,
  now = Date.now,
}: FetchedFlowsOptions = {}): FetchedFlows {
  const root = folder ?? join(millraceHome(), "fetched");
  return {
    async get(hash, load) {
      // It comes from the Cloud, and becomes a file's name.
      if (!/^[0-9a-f]{64}$/.test(hash))
        throw new MillraceError("STORAGE_FAILED", `${JSON.stringify(hash)} is no saved flow's hash.`);
      const file = join(root, hash);
      if (await isThere(file, now())) return file;
      const fetching = underWay.get(file) ?? fetchTo(file, hash, load, { root, limitBytes, now });
      underWay.set(file, fetching);
      try {
        return await fetching;
      } finally {
        if (underWay.get(file) === fetching) underWay.delete(file);
      }
    },
  };
}

/** True for a file that was found whole before, and is still the same. */
async function isThere(file: string, now: number): Promise<boolean> {
  const known = found.get(file);
  if (!known) return false;
  if ((await fingerprint(file)) !== known.print) return false;
  if (now - known.touchedAt > TOUCH_MS) await touch(file, now);
  return true;
}

interface Bounds {
  root: string;
  limitBytes: number;
  now: () => number;
}

async function fetchTo(file: string, hash: string, load: () => Promise<Uint8Array>, bounds: Bounds): Promise<string> {
  if (!(await isWhole(file, hash))) {
    const bytes = await load();
    await writeWhole(file, bytes, false).catch((cause: Error) => {
      throw new MillraceError("STORAGE_FAILED", `The saved flow cannot be kept as "${file}": ${cause.message}`, {
        hint: "Check that the folder can be written and the disk has room, or set MILLRACE_HOME to another folder.",
        cause,
      });
    });
    await makeRoom(file, bounds);
  }
  await touch(file, bounds.now());
  return file;
}

async function isWhole(file: string, hash: string): Promise<boolean> {
  try {
    return verifySavedFlow(await readFile(file)).hash === hash;
  } catch {
    // Not there, or damaged: it is written anew either way.
    return false;
  }
}

/** @throws nothing: when the file went meanwhile, the next look says so */
async function touch(file: string, now: number): Promise<void> {
  const time = new Date(now);
  await utimes(file, time, time).catch(() => {});
  const print = await fingerprint(file);
  if (print !== undefined) found.set(file, { print, touchedAt: now });
}

/** Changes when the file is written or replaced, or another process says that it uses it. */
async function fingerprint(file: string): Promise<string | undefined> {
  const stats = await stat(file).catch(() => undefined);
  return stats && `${stats.ino} ${stats.size} ${stats.mtimeMs}`;
}

/** Removes what was not used for the longest time until the limit is kept. What another process removes first is gone as well. */
async function makeRoom(keep: string, { root, limitBytes, now }: Bounds): Promise<void> {
  const files = [];
  for (const name of await readdir(root)) {
    const file = join(root, name);
    const stats = await stat(file).catch(() => undefined);
    if (stats?.isFile()) files.push({ file, size: stats.size, usedAt: stats.mtimeMs });
  }
  let total = files.reduce((sum, { size }) => sum + size, 0);
  for (const { file, size, usedAt } of files.sort((a, b) => a.usedAt - b.usedAt)) {
    const isLeftover = file.endsWith(".tmp");
    if (total <= limitBytes && !isLeftover) continue;
    if (file === keep || now() - usedAt < IN_USE_MS) continue;
    await rm(file, { force: true });
    found.delete(file);
    total -= size;
  }
}
