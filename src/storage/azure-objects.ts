import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import type { BlobServiceClient, StoragePipelineOptions } from "@azure/storage-blob";
import { MillraceError } from "../core/errors.js";
import type { AzurePlace } from "../core/options/object-place.js";
import { loadVendor } from "./load-vendor.js";
import {
  collect,
  explainNetwork,
  explainStatus,
  type Failure,
  type Fetched,
  type ObjectClient,
  slices,
  toBase64,
} from "./object-client.js";

type Sdk = typeof import("@azure/storage-blob");

/** Tried again above, for all vendors alike. */
const ONE_TRY: StoragePipelineOptions = { retryOptions: { maxTries: 1 } };

/**
 * Azure Blob storage by Microsoft's SDK, with one attempt a call. The server compares the MD5 that is sent with each
 * upload; the SHA-256 is kept with the blob for reading.
 * @throws STORAGE_PACKAGE_MISSING, TASK_OPTIONS_INVALID when no account is named anywhere
 */
export async function azureClient(place: AzurePlace): Promise<ObjectClient> {
  const sdk = await loadVendor("@azure/storage-blob", () => import("@azure/storage-blob"));
  const container = (await openService(sdk, place)).getContainerClient(place.container);

  return {
    async put(key, bytes, attempt) {
      const body = () => Readable.from(slices(bytes, attempt), { highWaterMark: 1, objectMode: true });
      await container.getBlockBlobClient(key).upload(body, bytes.length, {
        abortSignal: attempt.signal,
        metadata: { ...attempt.metadata },
        transactionalContentMD5: createHash("md5").update(bytes).digest(),
        ...(attempt.ifAbsent ? { conditions: { ifNoneMatch: "*" } } : {}),
      });
    },
    async get(key, attempt): Promise<Fetched> {
      const found = await container.getBlobClient(key).download(0, undefined, {
        abortSignal: attempt.signal,
        maxRetryRequests: 0,
      });
      const read = await collect(found.readableStreamBody as Readable, found.contentLength ?? 0, "sha256", attempt);
      return { ...read, expected: toBase64(found.metadata?.sha256) };
    },
    async head(key, { signal }) {
      const { contentLength } = await container.getBlobClient(key).getProperties({ abortSignal: signal });
      return contentLength ?? 0;
    },
    explain,
    close() {},
  };
}

/**
 * The account, with credentials from the first of: `AZURE_STORAGE_CONNECTION_STRING`; `AZURE_STORAGE_ACCOUNT` with
 * `AZURE_STORAGE_KEY` (as Azure's own command line reads them); `DefaultAzureCredential` of `@azure/identity`. The first two
 * are for the account that they name, and are passed over when the place names another.
 */
async function openService(sdk: Sdk, place: AzurePlace): Promise<BlobServiceClient> {
  const { AZURE_STORAGE_CONNECTION_STRING, AZURE_STORAGE_ACCOUNT, AZURE_STORAGE_KEY } = process.env;
  const { BlobServiceClient, StorageSharedKeyCredential } = sdk;
  if (AZURE_STORAGE_CONNECTION_STRING) {
    const service = BlobServiceClient.fromConnectionString(AZURE_STORAGE_CONNECTION_STRING, ONE_TRY);
    if (place.account === undefined || place.account === service.accountName) {
      if (place.endpoint === undefined) return service;
      return new BlobServiceClient(place.endpoint, service.credential, ONE_TRY);
    }
  }
  const account = place.account ?? AZURE_STORAGE_ACCOUNT;
  const url = place.endpoint ?? (account === undefined ? undefined : `https://${account}.blob.core.windows.net`);
  if (url === undefined) {
    throw new MillraceError(
      "TASK_OPTIONS_INVALID",
      `The container "${place.container}" lies in no account: none is named by the place or the environment.`,
      { hint: "Set `account`, or AZURE_STORAGE_CONNECTION_STRING." },
    );
  }
  if (AZURE_STORAGE_KEY && AZURE_STORAGE_ACCOUNT && account === AZURE_STORAGE_ACCOUNT)
    return new BlobServiceClient(url, new StorageSharedKeyCredential(account, AZURE_STORAGE_KEY), ONE_TRY);
  const identity = await loadVendor("@azure/identity", () => import("@azure/identity"));
  return new BlobServiceClient(url, new identity.DefaultAzureCredential(), ONE_TRY);
}

/** The fields that the SDK's errors, and those of its authentication, have. */
interface AzureError extends Error {
  readonly code?: string;
  readonly statusCode?: number;
  readonly details?: { readonly errorCode?: string };
}

function explain(error: unknown): Failure {
  const { name, code, statusCode, details, message } = error as AzureError;
  const said = details?.errorCode ?? code ?? name;
  const [line = ""] = message.trim().split("\n");
  const text = line === "" || line === said ? said : `${said}: ${line}`;
  if (/^(CredentialUnavailableError|(Aggregate)?AuthenticationError|AuthenticationRequiredError)$/.test(name)) {
    return {
      reason: "unauthorized",
      text,
      hint: "Set AZURE_STORAGE_CONNECTION_STRING, or give credentials as DefaultAzureCredential looks for them.",
    };
  }
  if (statusCode === undefined) return explainNetwork(error) ?? { reason: "other", text };
  if (said === "ContainerNotFound") return { reason: "no bucket", text };
  if (said === "BlobAlreadyExists") return { reason: "exists", text };
  if (/^(ContainerBeingDeleted|ContainerBeingCreated|AccountBeingCreated|OperationTimedOut)$/.test(said))
    return { reason: "busy", text };
  if (/^(Md5Mismatch|Crc64Mismatch)$/.test(said)) return { reason: "changed", text };
  return explainStatus(statusCode, text);
}
