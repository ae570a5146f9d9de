import type { Database } from "../../db/database.js";
import { lockSealed, type SealedRow, writeSealed } from "../../db/queries/secrets.js";
import { keyIdOf, type SealedFor, seal } from "./seal.js";
import { addKey, type KeySource, makeKeyFile, readKeys } from "./sealing-keys.js";
import { Vault } from "./vault.js";

/** What a rotation did. */
export interface Rotation {
  /** The key that everything is sealed with now. */
  readonly keyId: string;
  /** How many secrets and hooks were sealed anew. */
  readonly resealed: number;
  /** Keys that open what backups hold, and nothing in this database. */
  readonly oldKeyIds: readonly string[];
}

/**
 * Makes a new key and seals everything with it, in one transaction. A server that runs over the same key file may go on.
 * Keys given as text are not made here: the first one of them is the new one.
 * @throws SECRETS_KEY_INVALID when something was sealed with a key that is not here; nothing is changed then
 */
export async function rotateSealingKey(database: Database, source: KeySource): Promise<Rotation> {
  const vault = new Vault(source);
  const openAll = (rows: readonly SealedRow[], kind: SealedFor["kind"]) =>
    rows.map((row) => ({ row, text: vault.open({ tenantId: row.tenant_id, kind, name: row.name }, row.sealed) }));
  if ("file" in source) {
    // Everything must open before the file is touched.
    await database.write(async (transaction) => {
      const { secret, cloud_hook } = await lockSealed(transaction);
      openAll(secret, "secret");
      openAll(cloud_hook, "cloud_hook");
    });
    if (readKeys(source).length === 0) makeKeyFile(source.file);
    else addKey(source.file);
  }
  const [key, ...old] = readKeys(source);
  const resealed = await database.write(async (transaction) => {
    const sealed = await lockSealed(transaction);
    let count = 0;
    for (const kind of ["secret", "cloud_hook"] as const) {
      const outdated = openAll(sealed[kind], kind).filter(({ row }) => keyIdOf(row.sealed) !== key!.id);
      const rows = outdated.map(({ row, text }) => ({
        ...row,
        sealed: seal(key!, { tenantId: row.tenant_id, kind, name: row.name }, text),
      }));
      await writeSealed(transaction, kind, rows);
      count += rows.length;
    }
    return count;
  });
  return { keyId: key!.id, resealed, oldKeyIds: old.map(({ id }) => id) };
}
