import { createHash } from "node:crypto";

/** What went wrong, in words that are the same for every vendor. */
export type FailureReason =
  | "unauthorized"
  | "no bucket"
  | "no object"
  | "wrong region"
  | "timeout"
  | "unreachable"
  | "busy"
  | "cut"
  | "changed"
  | "exists"
  | "no conditions"
  | "other";

export interface Failure {
  readonly reason: FailureReason;
  /** What the vendor said, for the message. */
  readonly text: string;
  readonly hint?: string;
}

/** One try of one call. */
export interface Attempt {
  /** Fires when nothing has moved for too long, or the caller gave up. */
  readonly signal: AbortSignal;
  /** Call with every piece that has gone. */
  readonly moved: (doneBytes: number, totalBytes: number) => void;
}

export interface PutAttempt extends Attempt {
  readonly ifAbsent: boolean;
  readonly metadata: Readonly<Record<string, string>>;
  /** Of the bytes, hex; kept with the object. */
  readonly sha256: string;
}

/** An object's bytes with their hash, and what that should be: as it was kept by {@link PutAttempt}, or the vendor's own. */
export interface Fetched {
  readonly bytes: Buffer;
  readonly hash: "sha256" | "md5";
  /** Base64. */
  readonly found: string;
  /** Base64; undefined for an object that others have written without one. */
  readonly expected: string | undefined;
}

/** What differs between vendors: one attempt each, with the whole key, and what their errors mean. Retries, time limits and messages are above. */
export interface ObjectClient {
  /** All or nothing. Fails with the reason "exists" when `ifAbsent` and it is there, with "no conditions" when the server knows none. */
  put(key: string, bytes: Uint8Array, attempt: PutAttempt): Promise<void>;
  get(key: string, attempt: Attempt): Promise<Fetched>;
  /** The size in bytes. */
  head(key: string, attempt: Attempt): Promise<number>;
  explain(error: unknown): Failure;
  close(): void;
}

/** The transfer ended before its end. */
export class Cut extends Error {
  constructor(receivedBytes: number, totalBytes: number, cause?: unknown) {
    super(`${receivedBytes} of ${totalBytes} bytes came`, { cause });
  }
}

/** Reads a stream of a known length, and hashes it while the rest is on its way. @throws Cut */
export async function collect(
  stream: AsyncIterable<Uint8Array>,
  totalBytes: number,
  hash: Fetched["hash"],
  { signal, moved }: Attempt,
): Promise<Omit<Fetched, "expected">> {
  const bytes = Buffer.allocUnsafeSlow(totalBytes);
  const hashing = createHash(hash);
  let received = 0;
  try {
    for await (const chunk of stream) {
      signal.throwIfAborted();
      if (received + chunk.length <= totalBytes) bytes.set(chunk, received);
      hashing.update(chunk);
      received += chunk.length;
      moved(received, totalBytes);
    }
  } catch (cause) {
    if (signal.aborted || received >= totalBytes) throw cause;
    throw new Cut(received, totalBytes, cause);
  }
  if (received !== totalBytes) throw new Cut(received, totalBytes);
  return { bytes, hash, found: hashing.digest("base64") };
}

/** Slices in which bytes are sent, so that progress can be told: large enough to cost nothing beside the network. */
const SLICE_BYTES = 256 * 1024;

/** The bytes piece by piece, telling how far it is. */
export async function* slices(bytes: Uint8Array, { moved }: Attempt): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += SLICE_BYTES) {
    const end = Math.min(at + SLICE_BYTES, bytes.length);
    yield bytes.subarray(at, end);
    moved(end, bytes.length);
  }
}

const UNREACHABLE =
  /^(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ECONNRESET|EPIPE|UND_ERR_SOCKET)$/;
const TIMEOUT = /^(ETIMEDOUT|ESOCKETTIMEDOUT|UND_ERR_(CONNECT|HEADERS|BODY)_TIMEOUT)$/;
const CERTIFICATE = /CERT|ERR_TLS|ERR_SSL|SELF_SIGNED/;

/** What Node says when no answer came, wherever a vendor has wrapped it; undefined for anything else. */
export function explainNetwork(error: unknown): Failure | undefined {
  for (let each = error, depth = 0; each instanceof Error && depth < 5; each = each.cause, depth += 1) {
    if (each instanceof Cut) return { reason: "cut", text: each.message };
    const inner = each instanceof AggregateError ? (each.errors[0] as Error) : each;
    const code = String((inner as NodeJS.ErrnoException).code ?? "");
    const text = inner.message || code;
    if (TIMEOUT.test(code)) return { reason: "timeout", text };
    if (UNREACHABLE.test(code) || /socket hang up|Premature close|terminated/i.test(text))
      return { reason: "unreachable", text };
    if (CERTIFICATE.test(code)) {
      return {
        reason: "other",
        text: `the server's certificate is not trusted (${text})`,
        hint: "Give Node the authority that signed it, in NODE_EXTRA_CA_CERTS.",
      };
    }
  }
  return undefined;
}

/** What an answer's status means when its code says nothing better. */
export function explainStatus(status: number | undefined, text: string): Failure {
  if (status === 401 || status === 403) return { reason: "unauthorized", text };
  if (status === 404) return { reason: "no object", text };
  if (status === 412) return { reason: "exists", text };
  if (status === 501) return { reason: "no conditions", text };
  if (status === 408 || status === 429 || (status !== undefined && status >= 500)) return { reason: "busy", text };
  return { reason: "other", text };
}

/** A hash as it is kept with an object, in the letters that {@link Fetched} has. */
export function toBase64(hex: string | undefined): string | undefined {
  return hex === undefined ? undefined : Buffer.from(hex, "hex").toString("base64");
}
