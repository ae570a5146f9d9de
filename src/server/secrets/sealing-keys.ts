import { randomBytes } from "node:crypto";
import {
  closeSync,
  fsyncSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { MillraceError } from "../../core/errors.js";
import { millraceHome } from "../../core/home.js";
import { KEY_BYTES, type SealingKey, toSealingKey } from "./seal.js";

/** Holds the keys, in place of a file: in base64 or hexadecimal, divided by commas; the first one seals, all of them open. */
export const KEYS_VARIABLE = "MILLRACE_SECRETS_KEY";

/** Where the keys come from: text that a caller or the environment gives, or a file with one key a line. */
export type KeySource = { readonly text: string } | { readonly file: string };

/** Beside a SQLite file, and in Millrace's home for a database that is somewhere else. */
function defaultKeyFile(database: string, env: NodeJS.ProcessEnv): string {
  const isAddress = /^[a-z][a-z0-9+.-]+:\/\//i.test(database) && !database.startsWith("file:");
  if (isAddress) return join(millraceHome(env), "secrets.key");
  const path = database.startsWith("file:") ? new URL(database).pathname : database;
  return `${resolve(path)}.secrets-key`;
}

/** Where a server finds its keys when it is not told. */
export function keySource(database: string, env: NodeJS.ProcessEnv = process.env): KeySource {
  const text = env[KEYS_VARIABLE];
  return text ? { text } : { file: defaultKeyFile(database, env) };
}

/** All keys, the one that seals first; none where the file is not there yet. @throws SECRETS_KEY_INVALID */
export function readKeys(source: KeySource): SealingKey[] {
  if ("text" in source) return toKeys(source.text.split(","), KEYS_VARIABLE);
  let text: string;
  try {
    text = readFileSync(source.file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw new MillraceError(
      "SECRETS_KEY_INVALID",
      `The key file "${source.file}" cannot be read: ${(error as Error).message}.`,
      { hint: "Check that this user may read it.", cause: error },
    );
  }
  return toKeys(text.split("\n"), `the file "${source.file}"`);
}

/** Makes the file with a first key, readable by this user alone. When another process was faster, its key is the key. */
export function makeKeyFile(file: string): SealingKey[] {
  writeKeys(file, [randomBytes(KEY_BYTES)], (beside) => {
    try {
      // Whole or not at all, and never over a key that is there.
      linkSync(beside, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    } finally {
      rmSync(beside, { force: true });
    }
  });
  return readKeys({ file });
}

/** Puts a new key before those of the file: it seals from now on, and the others still open. */
export function addKey(file: string): SealingKey[] {
  const before = readKeys({ file }).map(({ bytes }) => bytes);
  writeKeys(file, [randomBytes(KEY_BYTES), ...before], (beside) => renameSync(beside, file));
  return readKeys({ file });
}

function writeKeys(file: string, keys: readonly Buffer[], place: (beside: string) => void): void {
  const beside = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
    const handle = openSync(beside, "wx", 0o600);
    try {
      writeSync(handle, `${keys.map((key) => key.toString("base64url")).join("\n")}\n`);
      // A secret that outlives its key is lost: the key is on the disk before anything is sealed with it.
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    place(beside);
  } catch (error) {
    rmSync(beside, { force: true });
    throw new MillraceError(
      "SECRETS_KEY_INVALID",
      `The key file "${file}" cannot be written: ${(error as Error).message}.`,
      { hint: `Check its folder, or give the key in ${KEYS_VARIABLE}.`, cause: error },
    );
  }
}

/** What is wrong is said without a character of what was found: it may be most of a key. */
function toKeys(texts: readonly string[], where: string): SealingKey[] {
  const found = texts.map((text) => text.trim()).filter((text) => text !== "");
  const keys = found.map((text, index) => {
    const bytes = /^[0-9a-f]{64}$/i.test(text) ? Buffer.from(text, "hex") : Buffer.from(text, "base64");
    if (bytes.length === KEY_BYTES && /^[\w+/=-]+$/.test(text)) return toSealingKey(bytes);
    throw new MillraceError(
      "SECRETS_KEY_INVALID",
      `Key ${index + 1} of ${where} is not ${KEY_BYTES} bytes in base64 or hexadecimal.`,
      { hint: "`openssl rand -base64 32` makes one." },
    );
  });
  if (keys.length > 0) return keys;
  throw new MillraceError("SECRETS_KEY_INVALID", `There is no key in ${where}.`, {
    hint: "`openssl rand -base64 32` makes one. A key that sealed something must be put back: there is no other way to read it.",
  });
}
