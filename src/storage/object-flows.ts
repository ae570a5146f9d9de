import { verifySavedFlow } from "../codec/saved-flow.js";
import { isMillraceError, MillraceError } from "../core/errors.js";
import { addressOf, checkPlace, keyIn, type ObjectPlace } from "../core/options/object-place.js";
import { type FetchedFlows, fetchedFlows } from "./fetched-flows.js";
import { flowFolder } from "./flow-folder.js";
import type { ObjectStore } from "./object-store.js";
import { openObjectStore } from "./open-objects.js";
import type { Storage, StorageLocation } from "./storage.js";

const types = { s3: "S3", gcs: "GCS", azure: "Azure" } as const;

/**
 * Saved flows as objects in S3, GCS or Azure Blob, each under `<prefix>/<flow>/<hash>`. A key is written once and names
 * what is in it, so that two deploys at once cannot mix, and any agent that may read it can run it: there are no labels. A
 * machine fetches a flow once.
 * @throws TASK_OPTIONS_INVALID
 */
export function objectFlows(given: ObjectPlace, disk: FetchedFlows = fetchedFlows()): Storage {
  const { prefix, ...rest } = checkPlace(given);
  const place = rest as ObjectPlace;
  const objects = openObjectStore(place);
  const whereIs = (key: string) => addressOf({ ...place, prefix: key });
  return {
    type: types[place.kind],
    labels: [],
    describe: ({ location }) => whereIs(location),

    async save(flowName, hash, bytes, options): Promise<StorageLocation> {
      const key = keyIn({ ...place, ...(prefix === undefined ? {} : { prefix }) }, `${flowFolder(flowName)}/${hash}`);
      const written = await putOnce(objects, key, bytes, options);
      if (!written) await mustBeSame(objects, key, hash, whereIs(key));
      return { type: types[place.kind], location: key, hash, place };
    },

    fetch: ({ location, hash }, options) =>
      disk.get(hash, async () => {
        const bytes = await objects.get(location, options);
        if (bytes === undefined) throw notFound(whereIs(location));
        checkContent(bytes, hash, whereIs(location));
        return bytes;
      }),

    async check({ location }) {
      if ((await objects.head(location)) === undefined) throw notFound(whereIs(location));
    },
  };
}

/** The look saves sending what is there already. */
async function putOnce(
  objects: ObjectStore,
  key: string,
  bytes: Uint8Array,
  options: Parameters<Storage["save"]>[3],
): Promise<boolean> {
  if ((await objects.head(key)) !== undefined) return false;
  return objects.put(key, bytes, { ...options, ifAbsent: true });
}

/** What was there before: this very flow, or something damaged that no agent would run. */
async function mustBeSame(objects: ObjectStore, key: string, hash: string, where: string): Promise<void> {
  const bytes = await objects.get(key);
  if (bytes === undefined) throw notFound(where);
  checkContent(bytes, hash, where);
}

/** @throws STORAGE_CORRUPT; SAVED_FLOW_VERSION for a whole one that this version does not read */
function checkContent(bytes: Uint8Array, hash: string, where: string): void {
  const refused = (why: string, cause?: unknown) =>
    new MillraceError("STORAGE_CORRUPT", `The object ${where} is not the flow that was deployed: ${why}`, {
      hint: "Delete the object, and deploy the flow again.",
      cause,
    });
  let found: string;
  try {
    found = verifySavedFlow(bytes).hash;
  } catch (error) {
    if (!isMillraceError(error, "SAVED_FLOW_CORRUPT")) throw error;
    throw refused(error.message, error);
  }
  if (found !== hash) throw refused(`it has the hash ${found}, and ${hash} was registered.`);
}

function notFound(where: string): MillraceError {
  return new MillraceError("SAVED_FLOW_NOT_FOUND", `There is no saved flow at ${where}.`, {
    hint: "It was deleted, for instance by a rule for old objects: deploy the flow again.",
  });
}
