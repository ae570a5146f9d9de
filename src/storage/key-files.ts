import { generateKeyPairSync } from "node:crypto";
import { open, readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { readSigningKey, readTrustedKeys, type SigningKey, type TrustedKeys } from "../codec/signature.js";
import { MillraceError } from "../core/errors.js";

interface Pem {
  pem: string;
  from: string;
}

/**
 * The key that flows are signed with.
 * @param place The path of a PEM file, or the PEM itself, for instance from the environment.
 * @throws SIGNING_KEY_INVALID
 */
export async function loadSigningKey(place: string): Promise<SigningKey> {
  const { pem, from } = await readPem(place, "the signing key");
  return readSigningKey(pem, from);
}

/** The keys whose signatures are taken. @param places As for {@link loadSigningKey}. @throws SIGNING_KEY_INVALID */
export async function loadTrustedKeys(places: readonly string[]): Promise<TrustedKeys> {
  if (places.length === 0) {
    throw new MillraceError("SIGNING_KEY_INVALID", "Signed flows were asked for, and no key to know them by.", {
      hint: "Name the public key's file.",
    });
  }
  return readTrustedKeys(await Promise.all(places.map((place) => readPem(place, "the key to trust"))));
}

/**
 * Makes a pair: the private key in `path`, for this user alone, and the public one in `path` + ".pub".
 * @returns the key's id
 * @throws SIGNING_KEY_INVALID where either file is there already or cannot be written
 */
export async function makeKeyPair(path: string): Promise<{ keyId: string; privateFile: string; publicFile: string }> {
  const privateFile = resolve(path);
  const publicFile = `${privateFile}.pub`;
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const pem = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  // The public one first: a private key is never left there without it.
  await writeNew(publicFile, publicKey.export({ type: "spki", format: "pem" }) as string, 0o644);
  await writeNew(privateFile, pem, 0o600);
  return { keyId: readSigningKey(pem).keyId, privateFile, publicFile };
}

async function writeNew(path: string, text: string, mode: number): Promise<void> {
  try {
    await using file = await open(path, "wx", mode);
    await file.writeFile(text);
  } catch (cause) {
    throw new MillraceError(
      "SIGNING_KEY_INVALID",
      `The key file "${path}" could not be made: ${(cause as Error).message}.`,
      {
        hint: "A key is never written over: give another name, or remove the file yourself.",
        cause,
      },
    );
  }
}

async function readPem(place: string, what: string): Promise<Pem> {
  if (place.trimStart().startsWith("-----BEGIN ")) return { pem: place, from: `The text given as ${what}` };
  const path = resolve(place);
  try {
    return { pem: await readFile(path, "utf8"), from: `The file "${path}"` };
  } catch (cause) {
    throw new MillraceError(
      "SIGNING_KEY_INVALID",
      `${what} could not be read from "${path}": ${(cause as Error).message}.`,
      {
        hint: "Give the path of a PEM file, or the PEM itself.",
        cause,
      },
    );
  }
}
