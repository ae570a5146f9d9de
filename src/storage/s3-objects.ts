import { Readable } from "node:stream";
import type { S3ClientConfig } from "@aws-sdk/client-s3";
import type { S3Place } from "../core/options/object-place.js";
import { loadVendor } from "./load-vendor.js";
import {
  type Attempt,
  collect,
  explainNetwork,
  explainStatus,
  type Failure,
  type Fetched,
  type ObjectClient,
  type PutAttempt,
  slices,
  toBase64,
} from "./object-client.js";

/** Smaller bodies go in one piece: there is no progress to tell. */
const SLICED_FROM_BYTES = 1024 * 1024;
/** What servers that are not Amazon's take for the region when they have none. */
const NO_REGION = "us-east-1";

/**
 * S3 by Amazon's SDK, with one attempt a call. The body's SHA-256 is signed along with each upload, so that the server
 * refuses bytes that were changed on the way; it is kept with the object for reading.
 * @throws STORAGE_PACKAGE_MISSING
 */
export async function s3Client(place: S3Place): Promise<ObjectClient> {
  const s3 = await loadVendor("@aws-sdk/client-s3", () => import("@aws-sdk/client-s3"));
  const client = new s3.S3Client(configFor(place));
  const Bucket = place.bucket;
  /** Whether a 404 without a body can only mean the object. */
  let bucketIsThere = false;

  return {
    async put(key, bytes, attempt) {
      const command = new s3.PutObjectCommand({
        Bucket,
        Key: key,
        Body: bodyOf(bytes, attempt),
        ContentLength: bytes.length,
        ContentType: "application/octet-stream",
        Metadata: { ...attempt.metadata },
        ...(attempt.ifAbsent ? { IfNoneMatch: "*" } : {}),
      });
      command.middlewareStack.add(
        (next) => (args) => {
          (args.request as { headers: Record<string, string> }).headers["x-amz-content-sha256"] = attempt.sha256;
          return next(args);
        },
        { step: "build", name: "signBody" },
      );
      await client.send(command, { abortSignal: attempt.signal });
      bucketIsThere = true;
    },
    async get(key, attempt): Promise<Fetched> {
      const found = await client.send(new s3.GetObjectCommand({ Bucket, Key: key }), { abortSignal: attempt.signal });
      bucketIsThere = true;
      const read = await collect(found.Body as Readable, found.ContentLength ?? 0, "sha256", attempt);
      return { ...read, expected: toBase64(found.Metadata?.sha256) };
    },
    async head(key, attempt) {
      try {
        const command = new s3.HeadObjectCommand({ Bucket, Key: key });
        const { ContentLength } = await client.send(command, { abortSignal: attempt.signal });
        bucketIsThere = true;
        return ContentLength ?? 0;
      } catch (error) {
        if (explain(error, place).reason === "no object" && !bucketIsThere) {
          await lookForBucket(attempt);
          bucketIsThere = true;
        }
        throw error;
      }
    },
    explain: (error) => explain(error, place),
    close: () => client.destroy(),
  };

  async function lookForBucket({ signal }: Attempt): Promise<void> {
    await client.send(new s3.HeadBucketCommand({ Bucket }), { abortSignal: signal }).catch((error: unknown) => {
      const { reason } = explain(error, place);
      if (reason === "no object") throw new NoBucket(`there is no bucket "${Bucket}"`);
      // Who may read objects need not be allowed to ask for the bucket.
      if (reason !== "unauthorized") throw error;
    });
  }
}

function configFor({ endpoint, region }: S3Place): S3ClientConfig {
  const { AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, AWS_REGION, AWS_DEFAULT_REGION } = process.env;
  const elsewhere = endpoint ?? AWS_ENDPOINT_URL_S3 ?? AWS_ENDPOINT_URL;
  const usual = AWS_REGION ?? AWS_DEFAULT_REGION;
  const chosen = region ?? (elsewhere === undefined ? usual : (usual ?? NO_REGION));
  return {
    // Tried again above, for all vendors alike.
    maxAttempts: 1,
    // It tells the console of every stream that it will not send again.
    logger: silent,
    // Not every server knows these headers; the body's SHA-256 is signed in any case.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
    forcePathStyle: elsewhere !== undefined,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(chosen === undefined ? {} : { region: chosen }),
  };
}

const silent: S3ClientConfig["logger"] = { debug() {}, info() {}, warn() {}, error() {} };

function bodyOf(bytes: Uint8Array, attempt: PutAttempt): Uint8Array | Readable {
  if (bytes.length < SLICED_FROM_BYTES) return bytes;
  return Readable.from(slices(bytes, attempt), { highWaterMark: 1, objectMode: true });
}

class NoBucket extends Error {}

/** The fields that the SDK's errors have; a code is in `name`, or in `Code` where the SDK does not know it. */
interface S3Error extends Error {
  readonly Code?: string;
  readonly Region?: string;
  readonly BucketName?: string;
  readonly $metadata?: { readonly httpStatusCode?: number };
  readonly $response?: { readonly headers?: Record<string, string> };
}

const UNAUTHORIZED =
  /^(AccessDenied|InvalidAccessKeyId|SignatureDoesNotMatch|ExpiredToken|InvalidToken|TokenRefreshRequired|CredentialsProviderError|Forbidden|AllAccessDisabled)/;
const WRONG_REGION = /^(PermanentRedirect|TemporaryRedirect|AuthorizationHeaderMalformed|IllegalLocationConstraint)/;
const CHANGED = /^(XAmzContentSHA256Mismatch|XAmzContentChecksumMismatch|BadDigest|InvalidDigest)$/;
const BUSY =
  /^(SlowDown|RequestTimeout|RequestTimeTooSkewed|ConditionalRequestConflict|OperationAborted|Throttling.*)$/;

function explain(error: unknown, place: S3Place): Failure {
  if (error instanceof NoBucket) return { reason: "no bucket", text: error.message };
  const { name, Code, message, Region, $metadata, $response } = error as S3Error;
  const status = $metadata?.httpStatusCode;
  const code = Code ?? name;
  // An answer without a body has no code.
  const named = /^Unknown/.test(code) ? `status ${status}` : code;
  const text = message && !/^Unknown/.test(message) && message !== code ? `${named}: ${message}` : named;
  if (UNAUTHORIZED.test(code)) return unauthorized(code, text);
  if (code === "NoSuchBucket") return { reason: "no bucket", text };
  const region = Region ?? $response?.headers?.["x-amz-bucket-region"];
  if (WRONG_REGION.test(code) || status === 301 || (status === 400 && region !== undefined && region !== place.region))
    return wrongRegion(place, text, region);
  if (/^Region is missing/.test(message)) return wrongRegion(place, "no region is known for it", undefined);
  if (CHANGED.test(code)) return { reason: "changed", text };
  if (code === "IncompleteBody") return { reason: "cut", text };
  if (BUSY.test(code)) return { reason: "busy", text };
  // The SDK also calls a dropped connection a TimeoutError.
  if (status === undefined)
    return explainNetwork(error) ?? { reason: code === "TimeoutError" ? "timeout" : "other", text };
  if (status === 403) return unauthorized(code, text);
  return explainStatus(status, text);
}

function unauthorized(code: string, text: string): Failure {
  const hint =
    code === "CredentialsProviderError"
      ? "Give credentials as the AWS SDK looks for them: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or the machine's role."
      : "Check the credentials and their policy. Without s3:ListBucket, S3 also says so of objects that are not there.";
  return { reason: "unauthorized", text, hint };
}

function wrongRegion(place: S3Place, text: string, region: string | undefined): Failure {
  const asked = place.region === undefined ? "" : `, and not in "${place.region}"`;
  const right = region === undefined ? undefined : `The bucket lies in "${region}"${asked}: set \`region\` to that.`;
  return { reason: "wrong region", text, ...(right === undefined ? {} : { hint: right }) };
}
