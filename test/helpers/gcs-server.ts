import { createHash } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type KeptObject, type ObjectServer, startObjectServer, type WholeRequest } from "./object-server.js";

/** What a machine outside Google shows the token server; see {@link writeGcsCredentials}. */
const SUBJECT = "subject-token";

/**
 * The JSON API of Google Cloud Storage, and the token server (RFC 8693) at which the SDK's default chain changes a machine's
 * own token for one of Google's. No emulator that can be had from npm or Debian checks tokens or keeps conditions.
 */
export function startGcsServer(): Promise<ObjectServer> {
  const given = new Set<string>();
  return startObjectServer((request, response, server) => {
    const json = (status: number, body: unknown) =>
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
    const fail = (status: number, message: string, reason: string) =>
      json(status, { error: { code: status, message, errors: [{ message, domain: "global", reason }] } });
    if (request.url.pathname === "/token") {
      if (new URLSearchParams(request.body.toString()).get("subject_token") !== SUBJECT)
        return json(400, { error: "invalid_grant", error_description: "The subject token is not known." });
      const token = `token-${given.size}`;
      given.add(token);
      return json(200, {
        access_token: token,
        issued_token_type: "urn:ietf:params:oauth:token-type:access_token",
        token_type: "Bearer",
        expires_in: 3600,
      });
    }
    if (!given.has((request.headers.authorization ?? "").replace(/^Bearer /, "")))
      return fail(401, "Invalid Credentials", "authError");
    const [, bucketName = "", rest = ""] = request.rawPath.match(/\/storage\/v1\/b\/([^/]+)\/o(?:\/(.*))?$/) ?? [];
    const bucket = server.buckets.get(decodeURIComponent(bucketName));
    if (!bucket) return fail(404, "The specified bucket does not exist.", "notFound");
    if (request.method === "POST") {
      const { name, object, md5Hash } = readUpload(request);
      if (md5Hash !== undefined && md5Hash !== md5Of(object.bytes))
        return fail(400, `Provided MD5 hash "${md5Hash}" doesn't match calculated MD5 hash.`, "invalid");
      if (request.url.searchParams.get("ifGenerationMatch") === "0" && bucket.has(name))
        return fail(412, "At least one of the pre-conditions you specified did not hold.", "conditionNotMet");
      bucket.set(name, object);
      return json(200, describe(name, object));
    }
    const name = decodeURIComponent(rest);
    const found = bucket.get(name);
    if (request.url.searchParams.get("alt") !== "media")
      return found ? json(200, describe(name, found)) : fail(404, `No such object: ${bucketName}/${name}`, "notFound");
    if (!found) return void response.writeHead(404).end(`No such object: ${bucketName}/${name}`);
    response.writeHead(200, {
      "content-length": found.bytes.length,
      "x-goog-hash": `crc32c=AAAAAA==,md5=${found.metadata.storedMd5 ?? md5Of(found.bytes)}`,
      "x-goog-stored-content-encoding": "identity",
      "x-goog-stored-content-length": found.bytes.length,
    });
    response.end(found.bytes);
  });
}

const md5Of = (bytes: Buffer): string => createHash("md5").update(bytes).digest("base64");

function describe(name: string, { bytes, metadata }: KeptObject) {
  return { kind: "storage#object", name, size: String(bytes.length), generation: "1", md5Hash: md5Of(bytes), metadata };
}

/** The two parts of a `multipart/related` upload: the description, and the bytes. */
function readUpload({ url, headers, body }: WholeRequest): { name: string; object: KeptObject; md5Hash?: string } {
  const boundary = headers["content-type"]?.match(/boundary="?([^";]+)/)?.[1] ?? "";
  const mark = Buffer.from(`--${boundary}`);
  const second = body.indexOf(mark, mark.length);
  const part = (from: number, to: number) => body.subarray(body.indexOf("\r\n\r\n", from) + 4, to);
  const description = JSON.parse(part(0, second).toString()) as {
    name?: string;
    md5Hash?: string;
    metadata?: Record<string, string>;
  };
  const bytes = Buffer.from(part(second, body.lastIndexOf(mark) - 2));
  const name = url.searchParams.get("name") ?? description.name ?? "";
  const { md5Hash, metadata = {} } = description;
  return { name, object: { bytes, metadata }, ...(md5Hash === undefined ? {} : { md5Hash }) };
}

/** Files as `GOOGLE_APPLICATION_CREDENTIALS` names them, for a machine whose tokens the server knows, or does not. */
export async function writeGcsCredentials(folder: string, server: ObjectServer, isKnown = true): Promise<string> {
  const subject = join(folder, isKnown ? "subject" : "unknown-subject");
  await writeFile(subject, isKnown ? SUBJECT : "somebody else");
  const file = `${subject}.json`;
  const credentials = {
    type: "external_account",
    audience: "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/pool/providers/provider",
    subject_token_type: "urn:ietf:params:oauth:token-type:jwt",
    token_url: `${server.url}/token`,
    credential_source: { file: subject },
  };
  await writeFile(file, JSON.stringify(credentials));
  return file;
}
