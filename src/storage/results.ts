import { readFile, stat } from "node:fs/promises";
import { isAbsolute, join, relative, resolve } from "node:path";
import { asInlineJson } from "../codec/inline-json.js";
import { decodeValue, encodeValue } from "../codec/value.js";
import { MillraceError } from "../core/errors.js";
import { millraceHome } from "../core/home.js";
import type { ResultRecord } from "../core/state.js";
import { writeWhole } from "./write-file.js";

/** JSON up to this size travels in the state itself: a file costs three system calls and is on one machine only. */
const INLINE_LIMIT_BYTES = 8 * 1024;

export interface ResultStoreOptions {
  /** Default `results` in the Millrace home. */
  folder?: string;
  /** The longest JSON text kept in a state. Default 8 KiB. */
  inlineLimitBytes?: number;
}

/** Where tasks' results go so that a later run can read them; the engine's port of the same name. */
export interface ResultStore {
  /** @throws VALUE_NOT_SERIALIZABLE, STORAGE_FAILED */
  write(value: unknown, of: { flowRunId: string; taskRunId: string }): Promise<ResultRecord | undefined>;
  /** @throws RESULT_NOT_FOUND, VALUE_CORRUPT */
  read(result: ResultRecord): Promise<unknown>;
  find(target: string): Promise<ResultRecord | undefined>;
}

/**
 * Small JSON goes into the state (`PrefectResult`, as Prefect's client reads it); anything else into a file on this
 * machine (`LocalResult`). A file is there whole or not at all after a kill, and not promised after a power cut.
 */
export function resultStore(options: ResultStoreOptions = {}): ResultStore {
  const folder = resolve(options.folder ?? join(millraceHome(), "results"));
  const limit = options.inlineLimitBytes ?? INLINE_LIMIT_BYTES;
  return {
    async write(value, { flowRunId, taskRunId }) {
      if (value === undefined) return undefined;
      const json = asInlineJson(value, limit);
      if (json !== undefined) return { type: "PrefectResult", location: json };
      const bytes = encodeValue(value);
      // Named by content, so that a task that is run again never writes over what a state already points to.
      const name = `${taskRunId}-${Buffer.from(bytes.subarray(4, 12)).toString("hex")}`;
      const location = join(flowRunId, name);
      await writeWhole(join(folder, location), bytes, false).catch((cause: Error) => {
        throw new MillraceError(
          "STORAGE_FAILED",
          `The result of task run ${taskRunId} cannot be written in "${folder}": ${cause.message}`,
          {
            hint: "Check that the folder can be written and the disk has room.",
            cause,
          },
        );
      });
      return { type: "LocalResult", location, dir: folder };
    },
    read,
    async find(target) {
      const found = await stat(join(folder, target)).catch(() => undefined);
      return found ? { type: "LocalResult", location: target, dir: folder } : undefined;
    },
  };
}

async function read(result: ResultRecord): Promise<unknown> {
  if (result.type === "PrefectResult" && typeof result.location === "string") return parse(result.location);
  if (result.type === "LocalResult" && typeof result.location === "string")
    return decodeValue(await readResultFile(result));
  throw notFound(
    `it is of the kind "${result.type}"${result.location === null ? " and has no location" : ""}, which cannot be read here`,
  );
}

function parse(json: string): unknown {
  try {
    return JSON.parse(json);
  } catch (cause) {
    throw notFound("its state holds text that is not JSON", cause);
  }
}

async function readResultFile({ dir, location }: ResultRecord): Promise<Buffer> {
  const folder = typeof dir === "string" ? dir : "";
  const file = resolve(folder, location ?? "");
  const inside = relative(folder, file);
  if (!isAbsolute(folder) || inside.startsWith("..") || isAbsolute(inside))
    throw notFound(`"${location}" is not inside "${folder}"`);
  try {
    return await readFile(file);
  } catch (cause) {
    throw notFound(`"${file}" cannot be read (${(cause as NodeJS.ErrnoException).code})`, cause);
  }
}

function notFound(why: string, cause?: unknown): MillraceError {
  return new MillraceError("RESULT_NOT_FOUND", `The result of a finished task is not to be had: ${why}.`, {
    hint: "Results larger than a few KiB stay on the machine that ran the task: resume the run there, or start a new run.",
    ...(cause === undefined ? {} : { cause }),
  });
}
