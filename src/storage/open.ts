import { MillraceError } from "../core/errors.js";
import { localStorage } from "./local.js";
import type { Storage, StorageLocation } from "./storage.js";

/** The storage in which a location lies. @throws STORAGE_FAILED for a kind that this version does not know */
export function openStorage(location: { type: string }): Storage {
  if (location.type === "Local") return localStorage();
  throw new MillraceError(
    "STORAGE_FAILED",
    `The flow lies in storage of the kind "${location.type}", which this Millrace does not know.`,
    {
      hint: "Run a newer version of Millrace here, or deploy the flow again with a storage that this one has.",
    },
  );
}

/** Brings a saved flow to this machine's disk and returns its path. @throws SAVED_FLOW_NOT_FOUND, STORAGE_FAILED */
export async function fetchSavedFlow(location: { type: string; location: string; hash: string }): Promise<string> {
  return openStorage(location).fetch(location as StorageLocation);
}
