import { readdir, readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { MillraceError } from "../core/errors.js";
import { millraceHome } from "../core/home.js";
import { flowFolder } from "./flow-folder.js";
import type { Storage, StorageLocation } from "./storage.js";
import { writeWhole } from "./write-file.js";

/** The part of the hash that stands in a file's name; the whole hash is in the file. */
const HASH_PREFIX_CHARS = 12;

/**
 * Saved flows on this machine's disk, one folder a flow, one file a version: the default, and good wherever the agent
 * runs on the machine that deploys.
 * @param folder Default `flows` in the Millrace home.
 */
export function localStorage(folder: string = join(millraceHome(), "flows")): Storage {
  const root = resolve(folder);
  return {
    type: "Local",
    labels: [hostname()],

    async save(flowName: string, hash: string, bytes: Uint8Array): Promise<StorageLocation> {
      const versions = join(root, flowFolder(flowName));
      try {
        const existing = await findSame(versions, hash, bytes);
        if (existing !== undefined) return { type: "Local", location: existing, hash };
        const file = join(versions, `${timeInName(new Date())}-${hash.slice(0, HASH_PREFIX_CHARS)}`);
        await writeWhole(file, bytes, true);
        return { type: "Local", location: file, hash };
      } catch (cause) {
        throw new MillraceError(
          "STORAGE_FAILED",
          `Flow "${flowName}" cannot be saved in "${versions}": ${(cause as Error).message}`,
          {
            hint: "Check that the folder can be written and the disk has room, or set MILLRACE_HOME to another folder.",
            cause,
          },
        );
      }
    },

    describe: ({ location }) => location,

    async fetch({ location }: StorageLocation): Promise<string> {
      await mustBeThere(location);
      return location;
    },

    check: ({ location }) => mustBeThere(location),
  };
}

async function mustBeThere(file: string): Promise<void> {
  const found = await stat(file).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== "ENOENT" && cause.code !== "ENOTDIR") {
      throw new MillraceError("STORAGE_FAILED", `The saved flow "${file}" cannot be read: ${cause.message}`, {
        cause,
      });
    }
    return undefined;
  });
  if (found?.isFile()) return;
  throw new MillraceError(
    "SAVED_FLOW_NOT_FOUND",
    `There is no saved flow at "${file}" on this machine ("${hostname()}").`,
    {
      hint: "Local storage keeps a flow on the machine that deployed it: run the agent there, or deploy the flow again here.",
    },
  );
}

/** A file with these very bytes. One that has the name and not the bytes was damaged, and is left alone. */
async function findSame(versions: string, hash: string, bytes: Uint8Array): Promise<string | undefined> {
  const names = await readdir(versions).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  for (const name of names.filter((each) => each.endsWith(`-${hash.slice(0, HASH_PREFIX_CHARS)}`)).sort()) {
    const file = join(versions, name);
    const found = await readFile(file).catch(() => undefined);
    if (found?.equals(bytes)) return file;
  }
  return undefined;
}

function timeInName(time: Date): string {
  return time.toISOString().replaceAll(/[:.]/g, "-");
}
