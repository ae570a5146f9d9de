import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { File } from "@google-cloud/storage";
import type { GcsPlace } from "../core/object-place.js";
import { loadVendor } from "./load-vendor.js";
import {
  type Attempt,
  collect,
  explainNetwork,
  explainStatus,
  type Failure,
  type Fetched,
  type ObjectClient,
  slices,
} from "./object-client.js";

/** Longer answers, whole pages at times, are cut in messages. */
const MAX_SAID_CHARS = 300;

/**
 * Google Cloud Storage by Google's SDK, with one attempt a call. The server compares the MD5 that is sent with each upload
 * before the object is there, and names its own for each download.
 * @throws STORAGE_PACKAGE_MISSING
 */
export async function gcsClient(place: GcsPlace): Promise<ObjectClient> {
  const { Storage } = await loadVendor("@google-cloud/storage", () => import("@google-cloud/storage"));
  const storage = new Storage({
    // Tried again above, for all vendors alike.
    retryOptions: { autoRetry: false, maxRetries: 0 },
    ...(place.endpoint === undefined ? {} : { apiEndpoint: place.endpoint, useAuthWithCustomEndpoint: true }),
  });
  const bucket = storage.bucket(place.bucket);

  return {
    async put(key, bytes, attempt) {
      const stream = bucket.file(key).createWriteStream({
        // One request: an object of a few MB is not worth the session that a resumable upload opens first.
        resumable: false,
        validation: false,
        metadata: {
          contentType: "application/octet-stream",
          md5Hash: createHash("md5").update(bytes).digest("base64"),
          metadata: { ...attempt.metadata },
        },
        ...(attempt.ifAbsent ? { preconditionOpts: { ifGenerationMatch: 0 } } : {}),
      });
      const source = Readable.from(slices(bytes, attempt), { highWaterMark: 1, objectMode: true });
      await pipeline(source, stream, { signal: attempt.signal });
    },
    get: (key, attempt) => download(bucket.file(key), attempt),
    async head(key) {
      const [{ size }] = await bucket.file(key).getMetadata();
      return Number(size);
    },
    explain,
    close() {},
  };
}

/** What the response event hands on: headers as an object, or as fetch has them. */
interface Answer {
  readonly headers: Record<string, string> | Headers;
}

async function download(file: File, attempt: Attempt): Promise<Fetched> {
  const stream = file.createReadStream({ validation: false, decompress: false });
  const onAbort = () => stream.destroy(attempt.signal.reason as Error);
  attempt.signal.addEventListener("abort", onAbort);
  try {
    const answered = new Promise<Answer>((resolve, reject) => {
      stream.once("response", resolve);
      stream.once("error", reject);
      stream.once("close", () => reject(new Error("The stream was closed before an answer came.")));
    });
    // Reading asks the server; nothing flows before somebody listens.
    stream.read(0);
    const { headers } = await answered;
    const header = (name: string) => (headers instanceof Headers ? headers.get(name) : headers[name]) ?? undefined;
    const total = Number(header("content-length") ?? header("x-goog-stored-content-length"));
    const bytes = await collect(stream as AsyncIterable<Uint8Array>, total, attempt);
    return { bytes, md5: header("x-goog-hash")?.match(/\bmd5=([^,]+)/)?.[1] };
  } finally {
    attempt.signal.removeEventListener("abort", onAbort);
    stream.destroy();
  }
}

/** The fields that the SDK's errors, and those of its authentication, have. */
interface GcsError extends Error {
  readonly code?: number | string;
  readonly status?: number;
  readonly errors?: readonly { readonly message?: string }[];
}

const NO_CREDENTIALS = /Could not load the default credentials|does not have.*credential|ENOENT.*credentials/i;
const BAD_CREDENTIALS =
  /invalid_grant|invalid_client|unauthorized_client|invalid_rapt|invalid_target|Anonymous caller/i;

function explain(error: unknown): Failure {
  const { code, status, errors, message } = error as GcsError;
  const text = said(errors?.[0]?.message ?? message);
  if (NO_CREDENTIALS.test(message)) {
    return {
      reason: "unauthorized",
      text,
      hint: "Give credentials as Google's libraries look for them: GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, or the machine's account.",
    };
  }
  if (BAD_CREDENTIALS.test(message)) return { reason: "unauthorized", text };
  const answered = Number(code ?? status);
  if (!Number.isInteger(answered)) return explainNetwork(error) ?? { reason: "other", text };
  if (answered === 404 && /bucket/i.test(text) && !/no such object/i.test(text)) return { reason: "no bucket", text };
  if (answered === 400 && /md5|crc32c|checksum/i.test(text)) return { reason: "changed", text };
  return explainStatus(answered, text);
}

/** The message inside an answer that was not taken apart by the SDK. */
function said(text: string): string {
  try {
    const { error } = JSON.parse(text) as { error?: { message?: string } };
    if (error?.message) return error.message;
  } catch {
    // It is plain text already.
  }
  return text.trim().slice(0, MAX_SAID_CHARS);
}
