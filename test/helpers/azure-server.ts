import { createHash, createHmac } from "node:crypto";
import { headersFrom, type ObjectServer, startObjectServer, type WholeRequest, withStart } from "./object-server.js";

export interface AzureServerOptions {
  account?: string;
  /** Base64. */
  key?: string;
}

export const AZURE_TEST_KEY = Buffer.from("a key for tests of the storage").toString("base64");

/** Azure's blob protocol with shared keys, the account in the path as its emulator has it. */
export function startAzureServer(options: AzureServerOptions = {}): Promise<ObjectServer> {
  const { account = "testaccount", key: secret = AZURE_TEST_KEY } = options;
  return startObjectServer((request, response, server) => {
    const id = { "x-ms-request-id": "test", "x-ms-version": "2026-01-01" };
    const fail = (status: number, code: string) =>
      response
        .writeHead(status, { ...id, "content-type": "application/xml", "x-ms-error-code": code })
        .end(
          request.method === "HEAD"
            ? undefined
            : `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${code} said of it.</Message></Error>`,
        );
    if (request.headers.authorization !== `SharedKey ${account}:${signatureOf(request, account, secret)}`)
      return fail(403, "AuthenticationFailed");
    const [, , containerName = "", ...rest] = request.url.pathname.split("/").map(decodeURIComponent);
    const container = server.buckets.get(containerName);
    if (!container) return fail(404, "ContainerNotFound");
    const key = rest.join("/");
    if (request.method === "PUT") {
      const md5 = request.headers["content-md5"];
      if (md5 !== undefined && md5 !== createHash("md5").update(request.body).digest("base64"))
        return fail(400, "Md5Mismatch");
      if (request.headers["if-none-match"] === "*" && container.has(key)) return fail(409, "BlobAlreadyExists");
      container.set(key, { bytes: request.body, metadata: headersFrom(request.headers, "x-ms-meta-") });
      return void response.writeHead(201, { ...id, etag: '"1"', "last-modified": new Date().toUTCString() }).end();
    }
    const found = container.get(key);
    if (!found) return fail(404, "BlobNotFound");
    response.writeHead(200, {
      ...id,
      "content-length": found.bytes.length,
      "content-type": "application/octet-stream",
      "x-ms-blob-type": "BlockBlob",
      etag: '"1"',
      "last-modified": new Date().toUTCString(),
      ...withStart(found.metadata, "x-ms-meta-"),
    });
    response.end(request.method === "HEAD" ? undefined : found.bytes);
  });
}

/** Microsoft's "Authorize with Shared Key", from the request as it came. */
function signatureOf({ method, url, rawPath, headers }: WholeRequest, account: string, key: string): string {
  const length = headers["content-length"];
  const plain = [
    ...["content-encoding", "content-language"].map((name) => headers[name] ?? ""),
    length === "0" ? "" : (length ?? ""),
    ...["content-md5", "content-type", "date", "if-modified-since", "if-match", "if-none-match"].map(
      (name) => headers[name] ?? "",
    ),
    ...["if-unmodified-since", "range"].map((name) => headers[name] ?? ""),
  ];
  const own = Object.keys(headers)
    .filter((name) => name.startsWith("x-ms-"))
    .sort()
    .map((name) => `${name}:${headers[name]}`);
  const query = [...url.searchParams].sort().map(([name, value]) => `${name.toLowerCase()}:${value}`);
  const text = [method, ...plain, ...own, `/${account}${rawPath}`, ...query].join("\n");
  return createHmac("sha256", Buffer.from(key, "base64")).update(text, "utf8").digest("base64");
}
