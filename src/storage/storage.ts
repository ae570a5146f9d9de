/** Where a saved flow lies: plain JSON, part of the registered flow. */
export interface StorageLocation {
  type: "Local";
  /** For Local: the absolute path of the file. */
  location: string;
  hash: string;
}

/** One kind of place for saved flows. Each kind is one file beside this one. */
export interface Storage {
  readonly type: StorageLocation["type"];
  /** Labels that a run of such a flow needs; a Local flow needs its machine. */
  readonly labels: readonly string[];
  /** Writes the bytes where no reader ever sees a part of them. @throws STORAGE_FAILED */
  save(flowName: string, hash: string, bytes: Uint8Array): Promise<StorageLocation>;
  /** Brings the saved flow to this machine's disk and returns the path. @throws SAVED_FLOW_NOT_FOUND, STORAGE_FAILED */
  fetch(location: StorageLocation): Promise<string>;
}
