import { readFile, stat } from "node:fs/promises";
import { hostname } from "node:os";
import { isAbsolute, join, relative, resolve } from "node:path";
import { MillraceError } from "../core/errors.js";
import type { ResultRecord } from "../core/state.js";
import { type ResultBytes, resultNotFound } from "./result-bytes.js";
import { writeWhole } from "./write-file.js";

/** Results as files on this machine. A file is there whole or not at all after a kill, and not promised after a power cut. */
export function resultFiles(folder: string): ResultBytes {
  const dir = resolve(folder);
  return {
    address: dir,
    record: (location) => ({ type: "LocalResult", location, dir, host: hostname() }),
    async put(location, bytes) {
      await writeWhole(join(dir, location), bytes, false).catch((cause: Error) => {
        throw failed(`"${location}" cannot be written in "${dir}"`, cause);
      });
    },
    async has(location) {
      const found = await stat(join(dir, location)).catch((cause: NodeJS.ErrnoException) => {
        if (isAbsent(cause)) return undefined;
        throw failed(`"${location}" cannot be looked for in "${dir}"`, cause);
      });
      if (found === undefined || found.isFile()) return found !== undefined;
      throw new MillraceError("STORAGE_FAILED", `The result "${location}" in "${dir}" is no file.`, {
        hint: "Give the result another location.",
      });
    },
  };
}

/** @throws RESULT_NOT_FOUND, with the machine that has it where that is known; STORAGE_FAILED */
export async function readResultFile({ dir, location, host }: ResultRecord): Promise<Buffer> {
  const folder = typeof dir === "string" ? dir : "";
  const file = resolve(folder, location ?? "");
  const inside = relative(folder, file);
  if (!isAbsolute(folder) || inside === "" || inside.startsWith("..") || isAbsolute(inside))
    throw resultNotFound(`"${location}" is not inside "${folder}"`);
  try {
    return await readFile(file);
  } catch (cause) {
    if (isAbsent(cause as NodeJS.ErrnoException))
      throw resultNotFound(`"${file}" cannot be read (${(cause as NodeJS.ErrnoException).code})`, {
        hint: whereItIs(host),
        cause,
      });
    throw failed(`"${file}" cannot be read`, cause as Error);
  }
}

function whereItIs(host: unknown): string {
  const here = hostname();
  if (typeof host === "string" && host !== here)
    return `It was written on the machine "${host}", and this is "${here}": resume the run there, or keep results where every machine reads them, for instance with results.s3().`;
  return "Results larger than a few KiB stay on the machine that ran the task: resume the run there, or start a new run.";
}

const isAbsent = ({ code }: NodeJS.ErrnoException): boolean => code === "ENOENT" || code === "ENOTDIR";

function failed(what: string, cause: Error): MillraceError {
  return new MillraceError("STORAGE_FAILED", `The result ${what}: ${cause.message}`, {
    hint: "Check that the folder can be read and written, and the disk has room.",
    cause,
  });
}
