import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { GcsPlace } from "../core/options/object-place.js";
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
    // Objects are named by bucket and key alone. Left out, the SDK looks for a project before its first request, which
    // starts `gcloud` where that is installed: 1.6 s.
    projectId: process.env.GOOGLE_CLOUD_PROJECT ?? "none",
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
    async get(key, attempt): Promise<Fetched> {
      const { data, headers } = await ask<Readable>(key, attempt, { responseType: "stream", params: { alt: "media" } });
      const read = await collect(data, Number(headers.get("content-length")), "md5", attempt);
      return { ...read, expected: headers.get("x-goog-hash")?.match(/\bmd5=([^,]+)/)?.[1] };
    },
    async head(key, attempt) {
      const { data } = await ask<{ size: string }>(key, attempt, { responseType: "json", params: { fields: "size" } });
      return Number(data.size);
    },
    explain,
    close() {},
  };

  /**
   * By the SDK's authenticated client and not by its `File`: that one cannot be called off, and warns of a leak at each
   * download of more than a few KB (@google-cloud/storage 8.4 on Node 24).
   */
  function ask<Data>(key: string, { signal }: Attempt, options: Asking) {
    const url = `${storage.baseUrl}/b/${encodeURIComponent(place.bucket)}/o/${encodeURIComponent(key)}`;
    return storage.authClient.request<Data>({ url, signal, retry: false, ...options });
  }
}

interface Asking {
  readonly responseType: "stream" | "json";
  readonly params: Readonly<Record<string, string>>;
}

/** The fields that the SDK's errors, and those of its authentication, have. */
interface GcsError extends Error {
  readonly code?: number | string;
  readonly status?: number;
  readonly errors?: readonly { readonly message?: string }[];
  readonly response?: { readonly data?: unknown };
}

const NO_CREDENTIALS = /Could not load the default credentials|does not have.*credential|ENOENT.*credentials/i;
const BAD_CREDENTIALS =
  /invalid_grant|invalid_client|unauthorized_client|invalid_rapt|invalid_target|Anonymous caller/i;

function explain(error: unknown): Failure {
  const { code, status, errors, message, response } = error as GcsError;
  const body = response?.data;
  const text = said(errors?.[0]?.message ?? (typeof body === "string" && body !== "" ? body : message));
  if (NO_CREDENTIALS.test(message)) {
    return {
      reason: "unauthorized",
      text,
      hint: "Give credentials as Google's libraries look for them: GOOGLE_APPLICATION_CREDENTIALS, `gcloud auth application-default login`, or the machine's account.",
    };
  }
  if (BAD_CREDENTIALS.test(message)) return { reason: "unauthorized", text };
  const answered = status ?? Number(code);
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
