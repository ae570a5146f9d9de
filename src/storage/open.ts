import { MillraceError } from "../core/errors.js";
import type { StorageOptions } from "../core/options/flow-storage.js";
import type { ObjectPlace } from "../core/options/object-place.js";
import { localStorage } from "./local.js";
import type { TransferOptions } from "./object-store.js";
import type { Storage, StorageLocation } from "./storage.js";

/** What the Cloud keeps of a saved flow's place. */
export interface KeptLocation {
  type: string;
  location: string;
  hash: string;
  place?: object;
}

/** The storage that an author chose. @throws TASK_OPTIONS_INVALID */
export async function chosenStorage({ place }: StorageOptions): Promise<Storage> {
  return place.kind === "local" ? localStorage(place.folder) : openObjects(place);
}

/** The storage in which a location lies. @throws STORAGE_FAILED for a kind that this version does not know */
export async function openStorage({ type, place }: Pick<KeptLocation, "type" | "place">): Promise<Storage> {
  if (type === "Local") return localStorage();
  if (type === "S3" || type === "GCS" || type === "Azure") return openObjects(place as ObjectPlace);
  throw new MillraceError(
    "STORAGE_FAILED",
    `The flow lies in storage of the kind "${type}", which this Millrace does not know.`,
    {
      hint: "Run a newer version of Millrace here, or deploy the flow again with a storage that this one has.",
    },
  );
}

/** The choice that led to a location, for deploying the flow again; undefined: the default. */
export function chosenBefore({ type, location, place }: KeptLocation): StorageOptions | undefined {
  if (type === "Local" || place === undefined) return undefined;
  const prefix = location.split("/").slice(0, -FLOW_KEY_PARTS).join("/");
  return { type, place: { ...(place as ObjectPlace), ...(prefix === "" ? {} : { prefix }) } } as StorageOptions;
}

/** `<flow>/<hash>`, after the prefix. */
const FLOW_KEY_PARTS = 2;

/** Brings a saved flow to this machine's disk and returns its path. @throws SAVED_FLOW_NOT_FOUND, STORAGE_FAILED, and for objects what the object store throws */
export async function fetchSavedFlow(location: KeptLocation, options?: TransferOptions): Promise<string> {
  const storage = await openStorage(location);
  return storage.fetch(location as StorageLocation, options);
}

/** Loaded when it is used: most agents run flows of their own disk. */
async function openObjects(place: ObjectPlace): Promise<Storage> {
  const { objectFlows } = await import("./object-flows.js");
  return objectFlows(place);
}
