import type { ObjectPlace } from "../core/options/object-place.js";
import type { TransferOptions } from "./object-store.js";

/** Where a saved flow lies: plain JSON, part of the registered flow. */
export interface StorageLocation {
  type: "Local" | "S3" | "GCS" | "Azure";
  /** For Local: the absolute path of the file. For objects: the whole key. */
  location: string;
  hash: string;
  /** For objects: bucket or container, and what else an agent has to know to reach it. */
  place?: ObjectPlace;
}

/** One kind of place for saved flows. Each kind is one file beside this one. */
export interface Storage {
  readonly type: StorageLocation["type"];
  /** Labels that a run of such a flow needs; a Local flow needs its machine. */
  readonly labels: readonly string[];
  /** For people: the file's path, or the object's address. */
  describe(location: StorageLocation): string;
  /**
   * Writes the bytes where no reader ever sees a part of them, and where nothing is ever written over.
   * @throws STORAGE_FAILED, and for objects what the object store throws
   */
  save(flowName: string, hash: string, bytes: Uint8Array, options?: TransferOptions): Promise<StorageLocation>;
  /**
   * Brings the saved flow to this machine's disk and returns the path.
   * @throws SAVED_FLOW_NOT_FOUND, STORAGE_FAILED, and for objects what the object store throws
   */
  fetch(location: StorageLocation, options?: TransferOptions): Promise<string>;
  /** Is it there? Without bringing it. @throws as {@link fetch} */
  check(location: StorageLocation): Promise<void>;
}
