import { asInstant } from "../../codec/state-json.js";
import type { ColumnInfo, TableInfo } from "./describe-tables.js";
import type { ReadDialect } from "./read-dialect.js";
import { refuse } from "./read-request.js";

const UUID = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const INTERVAL = /^(\d{1,6}):([0-5]\d):([0-5]\d(?:\.\d{1,6})?)$/;
/** Counted keys are answered as UUIDs of which only the last group is used: 48 bits. */
const ROW_NUMBER = /^00000000-0000-0000-0000-([0-9a-f]{12})$/;

/** A value of the column as the database is asked for it. @throws INPUT_INVALID for one that the column cannot hold */
export function toOperand(info: TableInfo, column: ColumnInfo, value: unknown): string | number {
  switch (column.kind) {
    case "uuid":
      if (typeof value === "string" && UUID.test(value)) return toUuid(value);
      break;
    case "rowNumber":
      if (typeof value === "string" && UUID.test(value)) return toRowNumber(value);
      break;
    case "text":
      if (typeof value === "string") return value;
      break;
    case "int":
      if (typeof value === "number" && Number.isSafeInteger(value)) return value;
      break;
    case "bool":
      if (typeof value === "boolean") return value ? 1 : 0;
      break;
    case "instant":
      return toInstant(info, column, value);
    case "interval":
      if (typeof value === "number" && Number.isFinite(value)) return value;
      if (typeof value === "string") {
        const [, hours, minutes, seconds] = INTERVAL.exec(value) ?? [];
        if (seconds !== undefined) return Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
      }
      break;
  }
  throw unusable(info, column, value);
}

/** A stored value as it is answered. */
export function toAnswer(kind: ColumnInfo["kind"], stored: unknown, dialect: ReadDialect): unknown {
  if (stored === null || stored === undefined) return null;
  switch (kind) {
    case "json":
      return dialect.parseJson(stored);
    case "bool":
      return stored === 1 || stored === true;
    case "instant":
      // The protocol's clients were written against a database that says the zone in numbers.
      return typeof stored === "string" && stored.endsWith("Z") ? `${stored.slice(0, -1)}+00:00` : stored;
    case "interval":
      return clockText(Number(stored));
    case "rowNumber":
      return `00000000-0000-0000-0000-${Number(stored).toString(16).padStart(12, "0")}`;
    default:
      return stored;
  }
}

/** The `id` of a row whose key is a run and a version. */
export function stateId(runId: unknown, version: unknown): string {
  return `${runId}:${version}`;
}

/** A row's `id`, as answered, to the values of its key columns; null where no row can have it. */
export function keyOfId(info: TableInfo, id: unknown): (string | number)[] | null {
  const column = info.columns.get("id")!;
  if (column.kind !== "stateId") return [toOperand(info, column, id)];
  const [runId, version] = typeof id === "string" ? id.split(":") : [];
  if (runId === undefined || version === undefined || !UUID.test(runId) || !/^\d{1,15}$/.test(version)) return null;
  return [toUuid(runId), Number(version)];
}

function toUuid(value: string): string {
  const digits = value.replaceAll("-", "").toLowerCase();
  return digits.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

function toRowNumber(value: string): number {
  const hex = ROW_NUMBER.exec(toUuid(value))?.[1];
  // A UUID that is nobody's row number is a fair question with the answer "no row".
  return hex === undefined ? -1 : Number.parseInt(hex, 16);
}

function toInstant(info: TableInfo, column: ColumnInfo, value: unknown): string {
  try {
    return asInstant(value);
  } catch (cause) {
    throw unusable(info, column, value, cause);
  }
}

function clockText(seconds: number): string {
  const whole = Math.floor(seconds);
  const rest = Math.round((seconds - whole) * 1000);
  const two = (value: number) => String(value).padStart(2, "0");
  const clock = `${two(Math.floor(whole / 3600))}:${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return rest === 0 ? clock : `${clock}.${String(rest).padStart(3, "0")}`;
}

const wanted: Record<ColumnInfo["kind"], string> = {
  uuid: "a UUID",
  rowNumber: "a UUID",
  text: "text",
  int: "a whole number",
  bool: "true or false",
  json: "JSON",
  instant: "an instant in ISO 8601",
  interval: "a time span as HH:MM:SS or in seconds",
  stateId: "an id",
};

function unusable(info: TableInfo, column: ColumnInfo, value: unknown, cause?: unknown) {
  const found = JSON.stringify(value)?.slice(0, 80) ?? String(value);
  return refuse(info, `"${column.name}" is compared with ${wanted[column.kind]}, and was ${found}`, undefined, cause);
}
