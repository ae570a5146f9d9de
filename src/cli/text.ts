import { stripVTControlCharacters } from "node:util";

/* Text as a terminal shows it: how wide it is, and what must not reach one. */

const MARKS = /[\p{Mark}\u200b-\u200f]/gu;
/** East Asian wide and fullwidth characters and pictures: two columns. */
const WIDE =
  /[\u1100-\u115f\u2e80-\u303e\u3041-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|\p{Emoji_Presentation}|[\u{20000}-\u{3fffd}]/gu;

/** Columns that `text` takes; colours take none. */
export function textWidth(text: string): number {
  const plain = stripVTControlCharacters(text).replace(MARKS, "");
  if (/^[\x20-\x7e]*$/.test(plain)) return plain.length;
  return [...plain].length + (plain.match(WIDE)?.length ?? 0);
}

/** What names and messages from elsewhere may not do to a terminal: no escape sequences, no line breaks. */
export function printable(text: string): string {
  return (
    stripVTControlCharacters(text)
      .replace(/\s+/g, " ")
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is taken out.
      .replace(/[\u0000-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g, "")
  );
}

/** `text`, without colours, in at most `width` columns; what is cut off leaves an ellipsis. */
export function cut(text: string, width: number): string {
  if (textWidth(text) <= width) return text;
  let kept = "";
  let used = 0;
  for (const character of text) {
    const next = textWidth(character);
    if (used + next > width - 1) break;
    kept += character;
    used += next;
  }
  return width < 1 ? "" : `${kept}…`;
}

export function padEnd(text: string, width: number): string {
  return text + " ".repeat(Math.max(0, width - textWidth(text)));
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** A span as people say it: `340ms`, `4.2s`, `3m 05s`, `2h 10m`, `5d 3h`. */
export function spanText(ms: number): string {
  const span = Math.max(0, ms);
  if (span < SECOND_MS) return `${Math.round(span)}ms`;
  if (span < MINUTE_MS) return `${(Math.floor(span / 100) / 10).toFixed(1)}s`;
  const two = (large: number, small: number, names: string) =>
    `${Math.floor(span / large)}${names[0]} ${String(Math.floor((span % large) / small)).padStart(2, "0")}${names[1]}`;
  if (span < HOUR_MS) return two(MINUTE_MS, SECOND_MS, "ms");
  if (span < DAY_MS) return two(HOUR_MS, MINUTE_MS, "hm");
  return two(DAY_MS, HOUR_MS, "dh");
}

/** How long ago, or how soon, in its largest unit: `just now`, `3m ago`, `in 2h`. */
export function agoText(at: string | null, now: number): string {
  if (at === null) return "–";
  const ms = now - Date.parse(at);
  const distance = Math.abs(ms);
  if (distance < SECOND_MS) return "just now";
  const [size, name] =
    distance < MINUTE_MS
      ? [SECOND_MS, "s"]
      : distance < HOUR_MS
        ? [MINUTE_MS, "m"]
        : distance < DAY_MS
          ? [HOUR_MS, "h"]
          : [DAY_MS, "d"];
  const text = `${Math.floor(distance / Number(size))}${name}`;
  return ms >= 0 ? `${text} ago` : `in ${text}`;
}

/** From one instant to another, or until now while there is no end. */
export function durationText(startAt: string | null, endAt: string | null, now: number): string {
  if (startAt === null) return "–";
  return spanText((endAt === null ? now : Date.parse(endAt)) - Date.parse(startAt));
}
