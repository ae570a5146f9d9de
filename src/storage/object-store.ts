/** Bytes under keys in a bucket or container: what saved flows and results need of S3, GCS and Azure Blob. */
export interface ObjectStore {
  /** For messages, for instance `s3://bucket/prefix`. */
  readonly address: string;
  /**
   * Stores all bytes or nothing. With `ifAbsent`, an object that is there already is left as it is: resolves with false.
   * @throws STORAGE_FAILED, STORAGE_UNAUTHORIZED, STORAGE_NOT_FOUND (no such bucket), STORAGE_TIMEOUT
   */
  put(key: string, bytes: Uint8Array, options?: PutOptions): Promise<boolean>;
  /** Undefined when there is no such object. @throws as {@link put}, and STORAGE_CORRUPT when the transfer was cut or changed */
  get(key: string, options?: TransferOptions): Promise<Uint8Array | undefined>;
  /** The object's size, or undefined when there is no such object. @throws as {@link put} */
  head(key: string): Promise<{ sizeBytes: number } | undefined>;
  /** Closes connections. */
  close(): Promise<void>;
}

export interface TransferOptions {
  readonly signal?: AbortSignal;
  /** Told now and then how many bytes have gone, of how many. */
  readonly onProgress?: (sentBytes: number, totalBytes: number) => void;
}

export interface PutOptions extends TransferOptions {
  readonly ifAbsent?: boolean;
  /** Kept with the object where the vendor can, for instance the content's SHA-256. */
  readonly metadata?: Readonly<Record<string, string>>;
}
