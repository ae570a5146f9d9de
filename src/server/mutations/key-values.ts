import type { DeleteKeyValueInput, IdPayload, SetKeyValueInput, SuccessPayload } from "../../client/wire.js";
import { newId } from "../../core/ids.js";
import { deleteKeyValueRow, upsertKeyValue } from "../../db/queries/key-values.js";
import { type RequestContext, toInstant } from "../parts.js";
import { checkName, deleted, jsonText } from "./settings-input.js";

/** As Prefect's Cloud has it: 10 kB of JSON. */
const MAX_VALUE_BYTES = 10_000;

/** Keeps a small value under a key; a key that is there gets the new value. */
export async function setKeyValue(input: SetKeyValueInput, { parts, caller }: RequestContext): Promise<IdPayload> {
  checkName("set_key_value", "key", input.key);
  // `null` as a literal passes JSON!: it is a value.
  const value = jsonText("set_key_value", `the value of "${input.key}"`, input.value ?? null, MAX_VALUE_BYTES);
  const now = toInstant(parts.clock.now());
  const row = { id: newId(), created: now, updated: now, tenant_id: caller.tenantId, key: input.key, value };
  const id = await parts.database.write((transaction) => upsertKeyValue(transaction, row));
  return { id };
}

export async function deleteKeyValue(
  { key_value_id: id }: DeleteKeyValueInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return deleted(
    await parts.database.write((transaction) => deleteKeyValueRow(transaction, caller.tenantId, id)),
    `Key value ${id}`,
  );
}
