import { createHash, createHmac } from "node:crypto";
import type { ServerResponse } from "node:http";
import { headersFrom, type ObjectServer, startObjectServer, type WholeRequest, withStart } from "./object-server.js";

export interface S3ServerOptions {
  accessKey?: string;
  secret?: string;
  region?: string;
  /** What becomes of `If-None-Match`: kept (as Amazon's), refused with 501 (as OpenStack Swift), or ignored (as old servers). Default kept. */
  conditions?: "kept" | "refused" | "ignored";
}

/** S3's REST protocol with signature version 4, buckets in the path. */
export function startS3Server(options: S3ServerOptions = {}): Promise<ObjectServer> {
  const { accessKey = "TESTKEY", secret = "testsecret", region = "us-east-1", conditions = "kept" } = options;
  return startObjectServer((request, response, server) => {
    const fail = (status: number, code: string, more = "") =>
      response
        .writeHead(status, { "content-type": "application/xml" })
        .end(
          request.method === "HEAD"
            ? undefined
            : `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code} of ${request.url.pathname}</Message>${more}</Error>`,
        );
    const signed = readAuthorization(request);
    if (!signed || signed.accessKey !== accessKey) return fail(403, "InvalidAccessKeyId");
    if (signed.region !== region) return fail(400, "AuthorizationHeaderMalformed", `<Region>${region}</Region>`);
    if (signed.signature !== signatureOf(request, signed, secret)) return fail(403, "SignatureDoesNotMatch");
    const said = request.headers["x-amz-content-sha256"];
    if (said !== createHash("sha256").update(request.body).digest("hex")) return fail(400, "XAmzContentSHA256Mismatch");
    const [, bucketName = "", ...rest] = request.url.pathname.split("/").map(decodeURIComponent);
    const bucket = server.buckets.get(bucketName);
    if (!bucket) return fail(404, "NoSuchBucket");
    const key = rest.join("/");
    if (key === "") return void response.writeHead(200).end();
    if (request.method === "PUT") {
      const isConditional = request.headers["if-none-match"] === "*";
      if (isConditional && conditions === "refused") return fail(501, "NotImplemented");
      if (isConditional && conditions === "kept" && bucket.has(key)) return fail(412, "PreconditionFailed");
      bucket.set(key, { bytes: request.body, metadata: headersFrom(request.headers, "x-amz-meta-") });
      return void response.writeHead(200, { etag: etagOf(request.body) }).end();
    }
    sendObject(response, request.method, bucket.get(key), () => fail(404, "NoSuchKey"));
  });
}

function sendObject(
  response: ServerResponse,
  method: string,
  found: { bytes: Buffer; metadata: Record<string, string> } | undefined,
  missing: () => void,
): void {
  if (!found) {
    missing();
    return;
  }
  response.writeHead(200, {
    "content-length": found.bytes.length,
    "content-type": "application/octet-stream",
    etag: etagOf(found.bytes),
    ...withStart(found.metadata, "x-amz-meta-"),
  });
  response.end(method === "HEAD" ? undefined : found.bytes);
}

const etagOf = (bytes: Buffer): string => `"${createHash("md5").update(bytes).digest("hex")}"`;

interface Signed {
  accessKey: string;
  day: string;
  region: string;
  scope: string;
  signedHeaders: string[];
  signature: string;
}

function readAuthorization({ headers }: WholeRequest): Signed | undefined {
  const found = headers.authorization?.match(
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/((\d{8})\/([^/]+)\/s3\/aws4_request), SignedHeaders=([^,]+), Signature=(\w+)$/,
  );
  if (!found) return undefined;
  const [, accessKey = "", scope = "", day = "", region = "", names = "", signature = ""] = found;
  return { accessKey, scope, day, region, signedHeaders: names.split(";"), signature };
}

/** Amazon's "Create a signed AWS API request", from the request as it came. */
function signatureOf(request: WholeRequest, signed: Signed, secret: string): string {
  const query = [...request.url.searchParams]
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(value)}`)
    .sort()
    .join("&");
  const canonical = [
    request.method,
    request.rawPath,
    query,
    ...signed.signedHeaders.map((name) => `${name}:${(request.headers[name] ?? "").trim()}`),
    "",
    signed.signedHeaders.join(";"),
    request.headers["x-amz-content-sha256"],
  ].join("\n");
  const text = [
    "AWS4-HMAC-SHA256",
    request.headers["x-amz-date"],
    signed.scope,
    createHash("sha256").update(canonical).digest("hex"),
  ].join("\n");
  const hmac = (key: string | Buffer, data: string) => createHmac("sha256", key).update(data).digest();
  const key = [signed.day, signed.region, "s3", "aws4_request"].reduce<string | Buffer>(hmac, `AWS4${secret}`);
  return hmac(key, text).toString("hex");
}
