import type { CustomTypesConfig } from "pg";

/** The type numbers of Postgres, src/include/catalog/pg_type.dat, that are read in another form than pg's own. */
const [BOOL, INT8, NUMERIC] = [16, 20, 1700];

/** Numbers are numbers and truths are 0 and 1, as SQLite answers them; nothing that we count comes near 2^53. */
export const valueTypes: CustomTypesConfig = {
  // Values come as text, as long as nobody asks for them otherwise.
  getTypeParser: (type: number) => {
    if (type === INT8 || type === NUMERIC || NUMBERS.has(type)) return Number;
    if (type === BOOL) return (value: string) => (value === "t" ? 1 : 0);
    return (value: string) => value;
  },
};

/** int2, int4, float4, float8. */
const NUMBERS: ReadonlySet<number> = new Set([21, 23, 700, 701]);

/** A value as it is bound. Postgres' text cannot hold the character NUL: it becomes the sign for one that is not known. */
export function toBound(value: unknown): unknown {
  if (typeof value === "string") return value.includes("\0") ? value.replaceAll("\0", "\ufffd") : value;
  if (typeof value === "boolean") return value ? 1 : 0;
  if (Array.isArray(value)) return value.map(toBound);
  return value ?? null;
}

/** The parameters of a text of ours; lists become arrays. */
export function toBoundAll(parameters: readonly unknown[], lists: readonly boolean[] = []): unknown[] {
  return parameters.map((value, index) => toBound(lists[index] ? JSON.parse(value as string) : value));
}
