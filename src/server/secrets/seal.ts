import { createCipheriv, createDecipheriv, hash, randomBytes } from "node:crypto";

/** A key that seals. */
export interface SealingKey {
  /** Found in every text that it sealed; tells nothing of the key. */
  readonly id: string;
  readonly bytes: Buffer;
}

/** What a sealed text belongs to. It opens for this owner and this purpose alone: moved to another row, it does not. */
export interface SealedFor {
  readonly tenantId: string;
  readonly kind: "secret" | "cloud_hook";
  readonly name: string;
}

/** AES-256. */
export const KEY_BYTES = 32;
/** NIST SP 800-38D, 5.2.1.1 recommends 96 bits; random ones are good for 2^32 texts a key (8.3). */
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const FORMAT = "v1";

/** @param bytes {@link KEY_BYTES} of them */
export function toSealingKey(bytes: Buffer): SealingKey {
  return { id: hash("sha256", Buffer.concat([Buffer.from("millrace sealing key\0"), bytes])).slice(0, 12), bytes };
}

/** `v1.<key id>.<nonce>.<ciphertext and tag>`, by AES-256-GCM with what it belongs to as additional data. */
export function seal(key: SealingKey, of: SealedFor, text: string): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", key.bytes, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData(of));
  const sealed = Buffer.concat([cipher.update(text, "utf8"), cipher.final(), cipher.getAuthTag()]);
  return [FORMAT, key.id, nonce.toString("base64url"), sealed.toString("base64url")].join(".");
}

/** The id of the key that a text was sealed with; undefined for a text that is none of ours. */
export function keyIdOf(sealed: string): string | undefined {
  const [format, keyId, nonce, bytes] = sealed.split(".");
  return format === FORMAT && nonce && bytes ? keyId : undefined;
}

/** The text again; undefined when it was not sealed with this key for this owner, or was changed since. */
export function open(key: SealingKey, of: SealedFor, sealed: string): string | undefined {
  const [, , nonce = "", rest = ""] = sealed.split(".");
  const bytes = Buffer.from(rest, "base64url");
  if (bytes.length < TAG_BYTES) return undefined;
  try {
    const decipher = createDecipheriv("aes-256-gcm", key.bytes, Buffer.from(nonce, "base64url"), {
      authTagLength: TAG_BYTES,
    });
    decipher.setAAD(additionalData(of));
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES));
    return decipher.update(bytes.subarray(0, -TAG_BYTES), undefined, "utf8") + decipher.final("utf8");
  } catch {
    // All that a failed check may tell is that it failed.
    return undefined;
  }
}

/** As JSON: no name can be written so that it runs into its neighbour. */
function additionalData({ tenantId, kind, name }: SealedFor): Buffer {
  return Buffer.from(JSON.stringify([FORMAT, tenantId, kind, name]));
}
