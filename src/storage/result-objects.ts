import { checkPlace, keyIn, type ObjectPlace } from "../core/options/object-place.js";
import type { ResultOptions } from "../core/options/result-options.js";
import type { ResultRecord } from "../core/state.js";
import type { ObjectStore } from "./object-store.js";
import { type ResultBytes, resultNotFound } from "./result-bytes.js";

/** Opens the objects at a place; what is opened twice is the same. */
export type OpenObjects = (place: ObjectPlace) => ObjectStore;

const types = { s3: "S3Result", gcs: "GCSResult", azure: "AzureResult" } as const;
type ObjectKind = keyof typeof types;

/** What a record keeps of a place besides bucket or container: what another machine may not know by itself. */
const keptFields: Record<ObjectKind, readonly string[]> = {
  s3: ["bucket", "endpoint", "region"],
  gcs: ["bucket", "endpoint"],
  azure: ["container", "account", "endpoint"],
};

/**
 * Results as objects in S3, GCS or Azure Blob. Records look as Prefect's: the bucket or container, and the whole key as
 * their location.
 */
export function resultObjects({ kind, place }: ResultOptions & { kind: ObjectKind }, open: OpenObjects): ResultBytes {
  const objectPlace = checkPlace({ kind, ...place });
  const store = open(objectPlace);
  return {
    address: store.address,
    record: (location) => ({
      type: types[kind],
      ...pick(kind, place),
      location: keyIn(objectPlace, location),
    }),
    put: async (location, bytes) => void (await store.put(location, bytes)),
    has: async (location) => (await store.head(location)) !== undefined,
  };
}

export function isObjectRecord({ type }: ResultRecord): boolean {
  return type === "S3Result" || type === "GCSResult" || type === "AzureResult";
}

/** @throws RESULT_NOT_FOUND, and what the object store throws */
export async function readResultObject(record: ResultRecord, open: OpenObjects): Promise<Uint8Array> {
  const kind = (Object.keys(types) as ObjectKind[]).find((each) => types[each] === record.type)!;
  const fields = pick(kind, record);
  const holder = kind === "azure" ? "container" : "bucket";
  if (typeof fields[holder] !== "string")
    throw resultNotFound(`it is of the kind "${record.type}" and has no ${holder}`);
  const store = open({ kind, ...fields } as unknown as ObjectPlace);
  const bytes = await store.get(String(record.location));
  if (bytes) return bytes;
  throw resultNotFound(`there is no "${record.location}" in ${store.address}`, {
    hint: "It was deleted, for instance by a rule for old objects: start a new run.",
  });
}

function pick(kind: ObjectKind, fields: Readonly<Record<string, unknown>>): Record<string, unknown> {
  // Prefect's records have null where nothing was given.
  const there = keptFields[kind].filter((field) => fields[field] !== undefined && fields[field] !== null);
  return Object.fromEntries(there.map((field) => [field, fields[field]]));
}
