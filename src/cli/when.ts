import { usage } from "./command.js";

const UNITS_MS = { m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const;

/**
 * An instant given as a span from now (`30m`, `12h`, `90d`, `2w`) or as a date, ISO 8601; one without a zone is UTC.
 * @throws USAGE
 */
export function instantOf(option: string, text: string, now: number): string {
  const span = /^(\d{1,6})([mhdw])$/.exec(text.trim());
  const ms = span ? now + Number(span[1]) * UNITS_MS[span[2] as keyof typeof UNITS_MS] : dateOf(text.trim());
  if (ms === undefined || !Number.isFinite(ms)) {
    throw usage(`${option} is a span such as 12h or 30d, or a date such as 2027-01-31, and was "${text}".`);
  }
  if (ms <= now) throw usage(`${option} is "${text}", which is over.`);
  return new Date(ms).toISOString();
}

function dateOf(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}([T ]|$)/.test(text)) return undefined;
  const zoned = /(Z|[+-]\d{2}:?\d{2})$/i.test(text.slice(10)) || text.length === 10;
  return Date.parse(zoned ? text : `${text}Z`);
}
