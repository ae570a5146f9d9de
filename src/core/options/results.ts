import { MillraceError } from "../errors.js";
import { checkLocation } from "./location.js";
import { type AzurePlace, checkPlace, type GcsPlace, type ObjectPlace, type S3Place } from "./object-place.js";
import type { Location, ResultOptions, SerializerName } from "./result-options.js";

/** What all places of results have; all of it optional. */
export interface ResultPlaceOptions {
  /**
   * Where below the folder or prefix: a template over what {@link LocationNames} holds, or a function of it. Default: the
   * flow run, the task run and the content's hash, so that no result ever takes another's place.
   */
  location?: Location;
  /** `v8` keeps Map, Date, BigInt and the like; `json` can be read by anything, and refuses what it would lose. Default `v8`. */
  serializer?: SerializerName;
}

export interface LocalResultOptions extends ResultPlaceOptions {
  /** Default: `results` in the Millrace home. */
  folder?: string;
}

/** The bucket, and what else says where it is. */
export type S3ResultOptions = Omit<S3Place, "kind"> & ResultPlaceOptions;
export type GcsResultOptions = Omit<GcsPlace, "kind"> & ResultPlaceOptions;
/** The container, and what else says where it is. */
export type AzureResultOptions = Omit<AzurePlace, "kind"> & ResultPlaceOptions;

/**
 * Where and how the results of a task, or of all tasks of a flow, are kept. Places are part of the flow and of its states:
 * credentials never stand in them, the vendor's SDK finds those in the environment of whoever runs the flow.
 * Each throws TASK_OPTIONS_INVALID or RESULT_LOCATION_INVALID for options that cannot be.
 * @example
 * const rows = task("rows", { result: results.local({ folder: "/data", location: "{parameters.day}.json", serializer: "json" }) }, load);
 * const orders = flow("orders", { result: results.s3({ bucket: "orders", prefix: "results" }) }, build);
 */
export const results = {
  /** Files on the disk of the machine that runs the task. */
  local(options: LocalResultOptions = {}): ResultOptions {
    const { folder, ...rest } = asObject("local", options);
    if (folder !== undefined && (typeof folder !== "string" || folder.trim() === ""))
      throw invalid("results.local(): `folder` must be text that is not empty.");
    return make("local", rest, folder === undefined ? {} : { folder });
  },
  /** In the state itself, as JSON: for small values that people want to see. */
  inline: (): ResultOptions => Object.freeze({ kind: "inline", serializer: "json", place: Object.freeze({}) }),
  /** S3, or any server that speaks its protocol; needs the package `@aws-sdk/client-s3`. */
  s3: (options: S3ResultOptions): ResultOptions => inObjects("s3", options),
  /** Google Cloud Storage; needs the package `@google-cloud/storage`. */
  gcs: (options: GcsResultOptions): ResultOptions => inObjects("gcs", options),
  /** Azure Blob storage; needs the package `@azure/storage-blob`. */
  azure: (options: AzureResultOptions): ResultOptions => inObjects("azure", options),
} as const;

function inObjects(kind: ObjectPlace["kind"], options: ResultPlaceOptions): ResultOptions {
  const { location, serializer, ...given } = asObject(kind, options);
  const { kind: _, ...place } = checkPlace({ kind, ...given });
  return make(kind, { location, serializer }, place);
}

function make(
  kind: ResultOptions["kind"],
  { location, serializer = "v8", ...unknown }: ResultPlaceOptions,
  place: Readonly<Record<string, unknown>>,
): ResultOptions {
  const [surplus] = Object.keys(unknown);
  if (surplus !== undefined)
    throw invalid(`results.${kind}() has no option \`${surplus}\`.`, "There are: folder, location, serializer.");
  if (serializer !== "v8" && serializer !== "json")
    throw invalid(`results.${kind}(): \`serializer\` must be "v8" or "json", and is ${JSON.stringify(serializer)}.`);
  if (location !== undefined) checkLocation(location);
  const where = location === undefined ? {} : { location };
  return Object.freeze({ kind, serializer, ...where, place: Object.freeze({ ...place }) });
}

function asObject<Options extends object>(kind: string, options: Options): Options {
  if (typeof options === "object" && options !== null) return options;
  throw invalid(`results.${kind}() takes its options as an object, and was given ${String(options)}.`);
}

function invalid(message: string, hint?: string): MillraceError {
  return new MillraceError("TASK_OPTIONS_INVALID", message, hint === undefined ? {} : { hint });
}
