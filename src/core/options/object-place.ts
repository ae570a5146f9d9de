import { MillraceError } from "../errors.js";

/** Where in S3, or in any server that speaks its protocol. */
export interface S3Place {
  readonly kind: "s3";
  readonly bucket: string;
  /** Stands before every key. Default: none. */
  readonly prefix?: string;
  /** The server's address, for one that is not Amazon's; the bucket is then named in the path. */
  readonly endpoint?: string;
  /** The bucket's region. Default: what the SDK finds (`AWS_REGION`, the profile), and `us-east-1` with an endpoint. */
  readonly region?: string;
  /** How long nothing may move before an attempt is given up, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
}

/** Where in Google Cloud Storage. */
export interface GcsPlace {
  readonly kind: "gcs";
  readonly bucket: string;
  readonly prefix?: string;
  /** The server's address, for one that is not Google's. */
  readonly endpoint?: string;
  readonly timeoutMs?: number;
}

/** Where in Azure Blob storage. */
export interface AzurePlace {
  readonly kind: "azure";
  readonly container: string;
  /** The storage account's name. Default: that of `AZURE_STORAGE_CONNECTION_STRING`, or `AZURE_STORAGE_ACCOUNT`. */
  readonly account?: string;
  readonly prefix?: string;
  /** The account's address. Default `https://<account>.blob.core.windows.net`, or the connection string's. */
  readonly endpoint?: string;
  readonly timeoutMs?: number;
}

/** Where objects lie: plain JSON that may stand in the Cloud. It never holds credentials; those are found by the vendor's own chain. */
export type ObjectPlace = S3Place | GcsPlace | AzurePlace;

const fields: Record<ObjectPlace["kind"], readonly string[]> = {
  s3: ["bucket", "prefix", "endpoint", "region", "timeoutMs"],
  gcs: ["bucket", "prefix", "endpoint", "timeoutMs"],
  azure: ["container", "account", "prefix", "endpoint", "timeoutMs"],
};

const names: Record<ObjectPlace["kind"], string> = { s3: "S3", gcs: "GCS", azure: "Azure Blob" };

/**
 * The place with nothing in it but its own fields, each found usable.
 * @throws TASK_OPTIONS_INVALID also for an endpoint that carries a password or a signature: places are shown and kept
 */
export function checkPlace(given: object): ObjectPlace {
  const { kind, ...rest } = given as { kind: ObjectPlace["kind"] } & Record<string, unknown>;
  const known = Object.hasOwn(fields, kind) ? fields[kind] : undefined;
  if (!known) throw invalid(`Object storage is s3, gcs or azure, and was ${JSON.stringify(kind)}.`);
  const [holder] = known as readonly [string];
  const place: Record<string, unknown> = { kind };
  for (const [field, value] of Object.entries(rest)) {
    if (value === undefined) continue;
    if (!known.includes(field)) {
      const because = /key|secret|token|password|credential|connection/i.test(field)
        ? " Credentials never stand in a place: the vendor's own chain finds them in the environment."
        : "";
      throw invalid(`${names[kind]} storage has no option \`${field}\`.${because}`, `There are: ${known.join(", ")}.`);
    }
    if (field === "timeoutMs" ? !isSpan(value) : typeof value !== "string" || value.trim() === "")
      throw invalid(`${names[kind]} storage: \`${field}\` cannot be ${JSON.stringify(value)}.`);
    place[field] = value;
  }
  if (place[holder] === undefined) throw invalid(`${names[kind]} storage needs a ${holder}.`);
  if (place.endpoint !== undefined) checkEndpoint(names[kind], place.endpoint as string);
  if (place.prefix !== undefined) place.prefix = (place.prefix as string).replaceAll(/^\/+|\/+$/g, "");
  return place as unknown as ObjectPlace;
}

const isSpan = (value: unknown): boolean => typeof value === "number" && value > 0 && value < 2 ** 31;

function checkEndpoint(name: string, endpoint: string): void {
  const url = URL.parse(endpoint);
  if (!url || !/^https?:$/.test(url.protocol))
    throw invalid(`${name} storage: the endpoint ${JSON.stringify(endpoint)} is no http or https address.`);
  if (url.username !== "" || url.password !== "" || url.search !== "") {
    // Not shown: it may hold a secret.
    throw invalid(
      `${name} storage: the endpoint at "${url.host}" carries a user, a password or a query.`,
      "Give the bare address; credentials come from the environment.",
    );
  }
}

/** For messages: `s3://bucket/prefix`, with the server where it is not the vendor's own. */
export function addressOf(place: ObjectPlace): string {
  const scheme = place.kind === "gcs" ? "gs" : place.kind;
  const holder = place.kind === "azure" ? place.container : place.bucket;
  const prefix = place.prefix ? `/${place.prefix}` : "";
  return `${scheme}://${holder}${prefix}${place.endpoint === undefined ? "" : ` at ${place.endpoint}`}`;
}

/** The whole key of an object. */
export function keyIn(place: ObjectPlace, key: string): string {
  return place.prefix ? `${place.prefix}/${key}` : key;
}

function invalid(message: string, hint?: string): MillraceError {
  return new MillraceError("TASK_OPTIONS_INVALID", message, hint === undefined ? {} : { hint });
}
