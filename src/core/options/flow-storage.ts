import { MillraceError } from "../errors.js";
import { type AzurePlace, checkPlace, type GcsPlace, type S3Place } from "./object-place.js";

/** Where a flow's saved form is kept: plain data, made by one of the classes below. */
export interface StorageOptions {
  readonly type: "Local" | "S3" | "GCS" | "Azure";
  readonly place: LocalPlace | S3Place | GcsPlace | AzurePlace;
}

export interface LocalPlace {
  readonly kind: "local";
  /** Default `flows` in the Millrace home. */
  readonly folder?: string;
}

/**
 * Saved flows on the disk of the machine that deploys, the default: only an agent on that machine can take their runs.
 * @example
 * await orders.deploy("Sales", { storage: new Local({ folder: "/srv/flows" }) });
 */
export class Local implements StorageOptions {
  readonly type = "Local";
  readonly place: LocalPlace;
  /** @throws TASK_OPTIONS_INVALID */
  constructor(options: Omit<LocalPlace, "kind"> = {}) {
    const { folder, ...rest } = options;
    const isWord = folder === undefined || (typeof folder === "string" && folder.trim() !== "");
    if (!isWord || Object.keys(rest).length > 0) {
      throw new MillraceError("TASK_OPTIONS_INVALID", `Local storage takes a folder, and was given ${show(options)}.`);
    }
    this.place = Object.freeze({ kind: "local", ...(folder === undefined ? {} : { folder }) });
  }
}

/**
 * Saved flows in S3, or in any server that speaks its protocol, under `<prefix>/<flow>/<hash>`: any agent that may read the
 * bucket can take their runs. Needs the package `@aws-sdk/client-s3`; credentials are found by that SDK.
 * @example
 * await orders.deploy("Sales", { storage: new S3({ bucket: "acme-flows", region: "eu-west-1" }) });
 */
export class S3 implements StorageOptions {
  readonly type = "S3";
  readonly place: S3Place;
  /** @throws TASK_OPTIONS_INVALID */
  constructor(options: Omit<S3Place, "kind">) {
    this.place = Object.freeze(checkPlace({ ...options, kind: "s3" })) as S3Place;
  }
}

/**
 * Saved flows in Google Cloud Storage, as {@link S3}. Needs the package `@google-cloud/storage`.
 * @example
 * const orders = flow("orders", { storage: new GCS({ bucket: "acme-flows" }) }, build);
 */
export class GCS implements StorageOptions {
  readonly type = "GCS";
  readonly place: GcsPlace;
  /** @throws TASK_OPTIONS_INVALID */
  constructor(options: Omit<GcsPlace, "kind">) {
    this.place = Object.freeze(checkPlace({ ...options, kind: "gcs" })) as GcsPlace;
  }
}

/**
 * Saved flows in Azure Blob storage, as {@link S3}. Needs the package `@azure/storage-blob`, and `@azure/identity` unless
 * the environment has a connection string or an account's key.
 * @example
 * await orders.deploy("Sales", { storage: new AzureBlob({ account: "acme", container: "flows" }) });
 */
export class AzureBlob implements StorageOptions {
  readonly type = "Azure";
  readonly place: AzurePlace;
  /** @throws TASK_OPTIONS_INVALID */
  constructor(options: Omit<AzurePlace, "kind">) {
    this.place = Object.freeze(checkPlace({ ...options, kind: "azure" })) as AzurePlace;
  }
}

const show = (value: unknown): string => JSON.stringify(value) ?? String(value);
