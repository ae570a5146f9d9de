import { join } from "node:path";
import { asInlineJson } from "../codec/inline-json.js";
import { fromJsonText, toJsonText } from "../codec/json-value.js";
import { MillraceError } from "../core/errors.js";
import { millraceHome } from "../core/home.js";
import { fillLocation, toPlace } from "../core/options/location.js";
import type { LocationNames, ResultOptions, SerializerName } from "../core/options/result-options.js";
import type { ResultRecord } from "../core/state.js";
import { openObjectStore } from "./open-objects.js";
import { decodeResult, encodeResult, type ResultBytes, resultNotFound } from "./result-bytes.js";
import { readResultFile, resultFiles } from "./result-files.js";
import { isObjectRecord, type OpenObjects, readResultObject, resultObjects } from "./result-objects.js";

/** JSON up to this size travels in the state itself: a file costs three system calls and is on one machine only. */
const INLINE_LIMIT_BYTES = 8 * 1024;

/** What `results.inline()` takes: a state may have 500,000 characters, and the quotes of JSON inside JSON take two each. */
const INLINE_MOST_BYTES = 200_000;

export interface ResultStoreOptions {
  /** Default `results` in the Millrace home. */
  folder?: string;
  /** The longest JSON text kept in a state where the author has not chosen a place. Default 8 KiB. */
  inlineLimitBytes?: number;
  /** Default: by the vendors' own packages. */
  openObjects?: OpenObjects;
}

/** Whose result it is, and what its author said of its place. */
export interface ResultOwner {
  readonly flowRunId: string;
  readonly taskRunId: string;
  readonly options?: ResultOptions | undefined;
  /** Needed where the options have a location. */
  readonly names?: () => LocationNames;
}

/** Where tasks' results go so that a later run can read them; the engine's port of the same name. */
export interface ResultStore {
  /** @throws VALUE_NOT_SERIALIZABLE, RESULT_LOCATION_INVALID, RESULT_TOO_LARGE, STORAGE_FAILED and its fellows */
  write(value: unknown, of: ResultOwner): Promise<ResultRecord | undefined>;
  /** @throws RESULT_NOT_FOUND, VALUE_CORRUPT, STORAGE_FAILED and its fellows */
  read(result: ResultRecord): Promise<unknown>;
  /** The record of what lies at a place already. @throws RESULT_LOCATION_INVALID, STORAGE_FAILED and its fellows */
  find(target: string, of: ResultOwner): Promise<ResultRecord | undefined>;
}

/**
 * Results where their authors want them. Without a choice, small JSON goes into the state (`PrefectResult`, as Prefect's
 * client reads it), and anything else into a file on this machine (`LocalResult`).
 */
export function resultStore(options: ResultStoreOptions = {}): ResultStore {
  const folder = options.folder ?? join(millraceHome(), "results");
  const limit = options.inlineLimitBytes ?? INLINE_LIMIT_BYTES;
  const openObjects = options.openObjects ?? openObjectStore;
  const open = (chosen: ResultOptions | undefined): ResultBytes => {
    if (chosen === undefined || chosen.kind === "local") return resultFiles(folderOf(chosen) ?? folder);
    if (chosen.kind !== "inline") return resultObjects({ ...chosen, kind: chosen.kind }, openObjects);
    throw new MillraceError("RESULT_LOCATION_INVALID", "A result in the state itself has no location and no target.", {
      hint: "Use results.local(), or leave out the target.",
    });
  };
  return {
    async write(value, of) {
      if (value === undefined) return undefined;
      if (of.options === undefined) {
        const json = asInlineJson(value, limit);
        if (json !== undefined) return { type: "PrefectResult", location: json };
      } else if (of.options.kind === "inline" && of.options.location === undefined) {
        return { type: "PrefectResult", location: inlineText(value) };
      }
      return writeBytes(value, of, open(of.options));
    },
    read: (result) => read(result, openObjects),
    async find(target, of) {
      const place = open(of.options);
      const location = toPlace(target);
      const serializer = of.options?.serializer ?? "v8";
      return (await place.has(location)) ? { ...place.record(location), ...named(serializer) } : undefined;
    },
  };
}

async function writeBytes(value: unknown, of: ResultOwner, place: ResultBytes): Promise<ResultRecord> {
  const { location: chosen, serializer = "v8" } = of.options ?? {};
  const { bytes, contentHash } = encodeResult(value, serializer);
  if (chosen === undefined) {
    // Named by content, so that a task that is run again never writes over what a state already points to.
    const suffix = serializer === "json" ? ".json" : "";
    const location = `${of.flowRunId}/${of.taskRunId}-${contentHash}${suffix}`;
    await place.put(location, bytes);
    return { ...place.record(location), ...named(serializer) };
  }
  if (!of.names) throw new MillraceError("INTERNAL", "A result with a location was written without its names.");
  const location = toPlace(fillLocation(chosen, of.names()));
  await place.put(location, bytes);
  // A place of the author's choice may be written again by a later run: the hash tells whose value lies there.
  return { ...place.record(location), ...named(serializer), hash: contentHash };
}

/** `v8` goes without saying. */
function named(serializer: SerializerName): { serializer?: SerializerName } {
  return serializer === "v8" ? {} : { serializer };
}

function folderOf(chosen: ResultOptions | undefined): string | undefined {
  const folder = chosen?.place.folder;
  return typeof folder === "string" ? folder : undefined;
}

function inlineText(value: unknown): string {
  const text = toJsonText(value);
  const bytes = Buffer.byteLength(text);
  if (bytes <= INLINE_MOST_BYTES) return text;
  throw new MillraceError(
    "RESULT_TOO_LARGE",
    `The result takes ${bytes} bytes as JSON, and a state holds ${INLINE_MOST_BYTES} at most.`,
    { hint: "Keep it with results.local() or in a bucket; results.inline() is for small values." },
  );
}

async function read(result: ResultRecord, openObjects: OpenObjects): Promise<unknown> {
  const { type, location } = result;
  if (typeof location !== "string" || location === "") throw resultNotFound(`its state says no place (${type})`);
  if (type === "PrefectResult") return parseInline(location);
  if (type === "LocalResult") return decodeResult(await readResultFile(result), result, `${result.dir}/${location}`);
  if (isObjectRecord(result))
    return decodeResult(
      await readResultObject(result, openObjects),
      result,
      `${result.bucket ?? result.container}/${location}`,
    );
  throw resultNotFound(`it is of the kind "${type}", which cannot be read here`);
}

function parseInline(json: string): unknown {
  try {
    return fromJsonText(json);
  } catch (cause) {
    throw resultNotFound("its state holds text that is not JSON", { cause });
  }
}
