import { createPrivateKey, createPublicKey, hash, type KeyObject, sign, verify } from "node:crypto";
import { MillraceError } from "../core/errors.js";

/** Who vouches for a saved flow: plain JSON, registered beside where it lies. */
export interface FlowSignature {
  /** SHA-256 of the public key (SPKI, DER), hex. */
  readonly keyId: string;
  /** Ed25519 over the flow's name and the saved flow's hash, base64. */
  readonly value: string;
}

/** A private key that flows are signed with. */
export interface SigningKey {
  readonly keyId: string;
  readonly key: KeyObject;
}

/** Public keys by their ids: the signatures of these, and of no other, are taken. */
export type TrustedKeys = ReadonlyMap<string, KeyObject>;

const idOf = (publicKey: KeyObject): string => hash("sha256", publicKey.export({ type: "spki", format: "der" }), "hex");

/** The text names what it is for, so that no signature made for anything else can stand for it. */
const signedText = (flowName: string, flowHash: string): Buffer =>
  Buffer.from(`millrace saved flow 1\n${flowHash}\n${flowName}`);

/**
 * Reads an Ed25519 private key, PEM (PKCS #8), as `openssl genpkey -algorithm ed25519` writes it.
 * @param from For the message: the file it was read from, for instance.
 * @throws SIGNING_KEY_INVALID; no part of the text is repeated
 */
export function readSigningKey(pem: string, from = "the signing key"): SigningKey {
  const key = readKey(() => createPrivateKey(pem), from, "private");
  return { keyId: idOf(createPublicKey(key)), key };
}

/** Reads public keys, PEM (SPKI), one or many a text. @throws SIGNING_KEY_INVALID */
export function readTrustedKeys(texts: readonly { pem: string; from: string }[]): TrustedKeys {
  const keys = new Map<string, KeyObject>();
  for (const { pem, from } of texts) {
    const blocks = pem.match(/-----BEGIN PUBLIC KEY-----.*?-----END PUBLIC KEY-----/gs) ?? [];
    if (blocks.length === 0) throw keyInvalid(from, "public", undefined);
    for (const block of blocks) {
      const key = readKey(() => createPublicKey(block), from, "public");
      keys.set(idOf(key), key);
    }
  }
  return keys;
}

/** Vouches for the code of a flow. */
export function signFlow(flowName: string, flowHash: string, { keyId, key }: SigningKey): FlowSignature {
  return { keyId, value: sign(null, signedText(flowName, flowHash), key).toString("base64") };
}

/**
 * Is it signed by one of the keys, under this name and with this hash? Whoever goes on must see to it that the bytes have
 * the hash, as every load does.
 * @throws FLOW_NOT_SIGNED for no signature, or one of a key that is not trusted; FLOW_SIGNATURE_INVALID for one that does not fit
 */
export function checkSignature(
  flow: { name: string; hash: string; signature: FlowSignature | undefined },
  trusted: TrustedKeys,
): void {
  const { name, signature } = flow;
  const asked = `This agent runs only flows that are signed by ${trusted.size === 1 ? "the key" : "one of the keys"} ${[...trusted.keys()].map(short).join(", ")}`;
  if (signature === undefined) {
    throw new MillraceError("FLOW_NOT_SIGNED", `${asked}; flow "${name}" is not signed.`, { hint: SIGN_IT });
  }
  const key = trusted.get(signature.keyId);
  if (key === undefined) {
    const message = `${asked}; flow "${name}" is signed by the key ${short(signature.keyId)}.`;
    throw new MillraceError("FLOW_NOT_SIGNED", message, { hint: SIGN_IT });
  }
  if (verify(null, signedText(name, flow.hash), key, Buffer.from(signature.value, "base64"))) return;
  throw new MillraceError(
    "FLOW_SIGNATURE_INVALID",
    `The signature of flow "${name}" by the key ${short(signature.keyId)} is not one of this flow with the hash ${flow.hash}.`,
    { hint: "The flow's registration was changed after it was signed. Find out by whom, and deploy the flow again." },
  );
}

const SIGN_IT = "Deploy it with `--sign <private key>`, or let the agent trust the key that signed it.";

const short = (keyId: string): string => keyId.slice(0, 16);

function readKey(read: () => KeyObject, from: string, kind: "private" | "public"): KeyObject {
  let key: KeyObject;
  try {
    key = read();
  } catch (cause) {
    throw keyInvalid(from, kind, cause);
  }
  if (key.asymmetricKeyType !== "ed25519") throw keyInvalid(from, kind, undefined, key.asymmetricKeyType);
  return key;
}

function keyInvalid(from: string, kind: "private" | "public", cause: unknown, found?: string): MillraceError {
  const what = found === undefined ? `no ${kind} key in PEM` : `a key of the kind ${found}`;
  return new MillraceError("SIGNING_KEY_INVALID", `${from} holds ${what}; an Ed25519 ${kind} key was asked for.`, {
    hint: "Make a pair with `millrace create signing-key <file>`: deploy with the file, and give agents `<file>.pub`.",
    ...(cause === undefined ? {} : { cause }),
  });
}
