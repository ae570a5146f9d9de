import { addressOf, checkPlace, type ObjectPlace } from "../core/options/object-place.js";
import { azureClient } from "./azure-objects.js";
import { gcsClient } from "./gcs-objects.js";
import type { ObjectClient } from "./object-client.js";
import type { ObjectStore } from "./object-store.js";
import { objectStore } from "./retried-objects.js";
import { s3Client } from "./s3-objects.js";

/** One for each place and thread: clients hold connections and credentials that are worth keeping. */
const open = new Map<string, ObjectStore>();

/**
 * The objects at a place, by the vendor's own SDK, which is loaded when it is first used. Credentials come from the SDK's
 * default chain. What is opened twice is the same; closing it makes room for a new one. Idle connections do not keep a
 * process alive.
 * @throws TASK_OPTIONS_INVALID for a place that cannot be; the calls throw STORAGE_PACKAGE_MISSING
 * @example
 * const objects = openObjectStore({ kind: "s3", bucket: "flows", region: "eu-west-1" });
 * await objects.put("greeting", Buffer.from("hello"), { ifAbsent: true }); // false: it was there
 */
export function openObjectStore(given: ObjectPlace): ObjectStore {
  const place = checkPlace(given);
  const name = JSON.stringify(Object.entries(place).sort(([a], [b]) => (a < b ? -1 : 1)));
  const found = open.get(name);
  if (found) return found;
  const store = objectStore(place, () => clientFor(place));
  const kept: ObjectStore = {
    ...store,
    address: addressOf(place),
    async close() {
      if (open.get(name) === kept) open.delete(name);
      await store.close();
    },
  };
  open.set(name, kept);
  return kept;
}

function clientFor(place: ObjectPlace): Promise<ObjectClient> {
  if (place.kind === "s3") return s3Client(place);
  if (place.kind === "gcs") return gcsClient(place);
  return azureClient(place);
}
