import type { DeleteSecretInput, SetSecretInput, SuccessPayload } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { deleteSecretRow, findSecret, secretNamesOf, upsertSecret } from "../../db/queries/secrets.js";
import { type RequestContext, toInstant } from "../parts.js";
import { checkName, deleted, jsonText } from "./settings-input.js";

/** Room for a certificate chain or a service account's file; a secret is no place for data. */
const MAX_SECRET_BYTES = 65_536;

/** Keeps a secret, encrypted; one of that name gets the new value. Nothing of the value is in any message. */
export async function setSecret(input: SetSecretInput, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  const { name } = input;
  checkName("set_secret", "name", name);
  if (input.value === null || input.value === undefined) {
    throw new MillraceError("INPUT_INVALID", `set_secret: the secret "${name}" has no value.`, {
      hint: "delete_secret takes a secret away.",
    });
  }
  const text = jsonText("set_secret", `the secret "${name}"`, input.value, MAX_SECRET_BYTES);
  const now = toInstant(parts.clock.now());
  const { tenantId } = caller;
  await parts.database.write(async (transaction) => {
    // Sealed inside: no rotation of keys can come between.
    const sealed = await parts.vault.seal(transaction, { tenantId, kind: "secret", name }, text);
    await upsertSecret(transaction, { id: newId(), created: now, updated: now, tenant_id: tenantId, name, sealed });
  });
  return { success: true, error: null };
}

export async function deleteSecret(
  { name }: DeleteSecretInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return deleted(
    await parts.database.write((transaction) => deleteSecretRow(transaction, caller.tenantId, name)),
    `Secret "${name}"`,
  );
}

/** @throws SECRET_NOT_FOUND, SECRETS_KEY_INVALID */
export async function secretValue({ name }: { name: string }, { parts, caller }: RequestContext): Promise<unknown> {
  const { tenantId } = caller;
  const row = await findSecret(parts.database, tenantId, name);
  if (!row) {
    // Prefect's client looks for the first sentence.
    throw new MillraceError(
      "SECRET_NOT_FOUND",
      `No value found for the requested key. The Cloud has no secret "${name.slice(0, 80)}".`,
      { hint: "`millrace secret set` keeps one there; `millrace secret list` shows their names." },
    );
  }
  return JSON.parse(parts.vault.open({ tenantId, kind: "secret", name }, row.sealed)) as unknown;
}

export function secretNames(_: unknown, { parts, caller }: RequestContext): Promise<string[]> {
  return secretNamesOf(parts.database, caller.tenantId);
}
