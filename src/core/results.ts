import { MillraceError } from "./errors.js";
import { checkLocation } from "./location.js";
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

export interface S3ResultOptions extends ResultPlaceOptions {
  bucket: string;
  /** Stands before every key. Default: none. */
  prefix?: string;
  /** The address of a server that is not Amazon's. */
  endpoint?: string;
  /** Default: what the SDK finds, for instance in `AWS_REGION`. */
  region?: string;
  /** How long nothing may move before an attempt is given up, in milliseconds. Default 30,000. */
  timeoutMs?: number;
}

export interface GcsResultOptions extends ResultPlaceOptions {
  bucket: string;
  prefix?: string;
  /** The address of a server that is not Google's. */
  endpoint?: string;
  timeoutMs?: number;
}

export interface AzureResultOptions extends ResultPlaceOptions {
  container: string;
  /** The storage account's name. Default: what the environment says. */
  account?: string;
  prefix?: string;
  /** The account's address. */
  endpoint?: string;
  timeoutMs?: number;
}

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
  local: (options: LocalResultOptions = {}): ResultOptions => make("local", options, ["folder"]),
  /** In the state itself, as JSON: for small values that people want to see. */
  inline: (): ResultOptions => Object.freeze({ kind: "inline", serializer: "json", place: Object.freeze({}) }),
  /** S3, or any server that speaks its protocol; needs the package `@aws-sdk/client-s3`. */
  s3: (options: S3ResultOptions): ResultOptions =>
    make("s3", options, ["prefix", "endpoint", "region", "timeoutMs"], "bucket"),
  /** Google Cloud Storage; needs the package `@google-cloud/storage`. */
  gcs: (options: GcsResultOptions): ResultOptions =>
    make("gcs", options, ["prefix", "endpoint", "timeoutMs"], "bucket"),
  /** Azure Blob storage; needs the package `@azure/storage-blob`. */
  azure: (options: AzureResultOptions): ResultOptions =>
    make("azure", options, ["account", "prefix", "endpoint", "timeoutMs"], "container"),
} as const;

function make(
  kind: ResultOptions["kind"],
  options: ResultPlaceOptions,
  fields: readonly string[],
  holder?: "bucket" | "container",
): ResultOptions {
  const call = `results.${kind}()`;
  if (typeof options !== "object" || options === null)
    throw invalid(`${call} takes its options as an object${holder ? `, with a \`${holder}\`` : ""}.`);
  const { location, serializer = "v8", ...given } = options;
  const allowed = holder ? [holder, ...fields] : fields;
  const place: Record<string, unknown> = {};
  for (const [field, value] of Object.entries(given)) {
    if (!allowed.includes(field)) {
      const hint = `There are: ${[...allowed, "location", "serializer"].join(", ")}. Credentials come from the environment.`;
      throw invalid(`${call} has no option \`${field}\`.`, hint);
    }
    if (value === undefined) continue;
    if (!isUsable(field, value))
      throw invalid(
        `${call}: \`${field}\` must be ${field === "timeoutMs" ? "a number above 0" : "text that is not empty"}.`,
      );
    place[field] = value;
  }
  if (holder && place[holder] === undefined) throw invalid(`${call} needs a \`${holder}\`.`);
  if (typeof place.endpoint === "string") checkEndpoint(call, place.endpoint);
  if (serializer !== "v8" && serializer !== "json")
    throw invalid(`${call}: \`serializer\` must be "v8" or "json", and is ${JSON.stringify(serializer)}.`);
  if (location !== undefined) checkLocation(location);
  return Object.freeze({
    kind,
    serializer,
    ...(location === undefined ? {} : { location }),
    place: Object.freeze(place),
  });
}

function isUsable(field: string, value: unknown): boolean {
  if (field === "timeoutMs") return typeof value === "number" && value > 0;
  return typeof value === "string" && value.trim() !== "";
}

/** An address may carry a password or a signature, and places are kept and shown: the message does not repeat it. */
function checkEndpoint(call: string, endpoint: string): void {
  const url = URL.canParse(endpoint) ? new URL(endpoint) : undefined;
  if (!url || !/^https?:$/.test(url.protocol)) throw invalid(`${call}: \`endpoint\` is no http or https address.`);
  if (url.username !== "" || url.password !== "" || url.search !== "") {
    const hint = "Give the bare address; credentials come from the environment.";
    throw invalid(`${call}: the \`endpoint\` at "${url.host}" carries a user, a password or a query.`, hint);
  }
}

function invalid(message: string, hint?: string): MillraceError {
  return new MillraceError("TASK_OPTIONS_INVALID", message, hint === undefined ? {} : { hint });
}
