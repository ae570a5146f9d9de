import type { Cloud } from "./cloud.js";

/* What a tenant keeps in the Cloud beside its flows: secrets, and small values under keys. */

/** The value of a secret that the Cloud keeps. @throws SECRET_NOT_FOUND, FORBIDDEN for a token that may not read values */
export async function readSecret(cloud: Pick<Cloud, "query">, name: string): Promise<unknown> {
  const { secret_value } = await cloud.query<{ secret_value: unknown }>(
    "query($name: String!) { secret_value(name: $name) }",
    { name },
  );
  return secret_value;
}

/** Their names, in order; never their values. */
export async function listSecrets(cloud: Cloud): Promise<string[]> {
  return (await cloud.query<{ secret_names: string[] }>("query { secret_names }")).secret_names;
}

/** Keeps a secret, in place of one of that name. @param value JSON of at most 65,536 bytes */
export async function setSecret(cloud: Cloud, name: string, value: unknown): Promise<void> {
  await cloud.query("mutation($input: set_secret_input!) { set_secret(input: $input) { success } }", {
    input: { name, value },
  });
}

/** @returns false when there was none */
export async function deleteSecret(cloud: Cloud, name: string): Promise<boolean> {
  const { delete_secret } = await cloud.query<{ delete_secret: { success: boolean } }>(
    "mutation($input: delete_secret_input!) { delete_secret(input: $input) { success } }",
    { input: { name } },
  );
  return delete_secret.success;
}

/** A value under a key; whoever may read the Cloud may read it. */
export interface KeyValue {
  id: string;
  key: string;
  value: unknown;
}

/** By key, in order. */
export async function listKeyValues(cloud: Cloud): Promise<KeyValue[]> {
  const document = "query { key_value(order_by: {key: asc}) { id key value } }";
  return (await cloud.query<{ key_value: KeyValue[] }>(document)).key_value;
}

/** Undefined: there is none under that key. */
export async function findKeyValue(cloud: Cloud, key: string): Promise<KeyValue | undefined> {
  const { key_value } = await cloud.query<{ key_value: KeyValue[] }>(
    "query($key: String!) { key_value(where: {key: {_eq: $key}}) { id key value } }",
    { key },
  );
  return key_value[0];
}

/** Keeps a value, in place of what was under that key. @param value JSON of at most 10,000 bytes. @returns its id */
export async function setKeyValue(cloud: Cloud, key: string, value: unknown): Promise<string> {
  const { set_key_value } = await cloud.query<{ set_key_value: { id: string } }>(
    "mutation($input: set_key_value_input!) { set_key_value(input: $input) { id } }",
    { input: { key, value } },
  );
  return set_key_value.id;
}

/** @returns false when there was none */
export async function deleteKeyValue(cloud: Cloud, key: string): Promise<boolean> {
  const known = await findKeyValue(cloud, key);
  if (!known) return false;
  const { delete_key_value } = await cloud.query<{ delete_key_value: { success: boolean } }>(
    "mutation($input: delete_key_value_input!) { delete_key_value(input: $input) { success } }",
    { input: { key_value_id: known.id } },
  );
  return delete_key_value.success;
}
