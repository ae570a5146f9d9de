import { MillraceError } from "../../core/errors.js";
import type { Reads } from "../../db/database.js";
import { sealedKeyIds } from "../../db/queries/secrets.js";
import { keyIdOf, open, type SealedFor, type SealingKey, seal } from "./seal.js";
import { KEYS_VARIABLE, type KeySource, makeKeyFile, readKeys } from "./sealing-keys.js";

/**
 * Seals what nobody may read in the database's file, and opens it again. The keys are read when they are needed, and again
 * each time something is sealed, so that a running server follows when they are rotated.
 */
export class Vault {
  readonly #source: KeySource;
  #keys: readonly SealingKey[] | undefined;

  constructor(source: KeySource) {
    this.#source = source;
  }

  /**
   * Seals text. Where there is no key file yet it is made, unless the database holds what another key sealed.
   * @throws SECRETS_KEY_INVALID
   */
  async seal(reads: Reads, of: SealedFor, text: string): Promise<string> {
    let keys = readKeys(this.#source);
    // Something that is sealed with a wrong key is lost as soon as the right one is back.
    const sealedWith = await sealedKeyIds(reads);
    const foreign = sealedWith.find((id) => !keys.some((key) => key.id === id));
    if (foreign !== undefined) throw this.#wrong(foreign, keys);
    if (keys.length === 0 && "file" in this.#source) keys = makeKeyFile(this.#source.file);
    this.#keys = keys;
    return seal(keys[0]!, of, text);
  }

  /** @throws SECRETS_KEY_INVALID when its key is not here, or it was changed in the database */
  open(of: SealedFor, sealed: string): string {
    const keyId = keyIdOf(sealed);
    const find = () => this.#keys?.find((key) => key.id === keyId);
    if (!find()) this.#keys = readKeys(this.#source);
    const key = find();
    if (!key) throw this.#wrong(keyId ?? "unknown", this.#keys ?? []);
    const text = open(key, of, sealed);
    if (text !== undefined) return text;
    throw new MillraceError(
      "SECRETS_KEY_INVALID",
      `The ${nouns[of.kind]} "${of.name}" was changed in the database: it does not open.`,
      { hint: "Set it again." },
    );
  }

  #wrong(keyId: string, found: readonly SealingKey[]): MillraceError {
    const where = "text" in this.#source ? KEYS_VARIABLE : `"${this.#source.file}"`;
    const have = found.length === 0 ? "has none" : `has ${found.map(({ id }) => id).join(", ")}`;
    return new MillraceError(
      "SECRETS_KEY_INVALID",
      `The Cloud's secrets were sealed with the key ${keyId}, and ${where} ${have}.`,
      {
        hint: "Put the right key back: nothing is lost until then. Without it, delete the secrets and hooks and set them again.",
      },
    );
  }
}

const nouns = { secret: "secret", cloud_hook: "configuration of cloud hook" } as const;
