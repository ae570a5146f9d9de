import { styleText } from "node:util";
import { isStateType, isType, type StateType } from "../core/state.js";
import { cut, padEnd, printable, textWidth } from "./text.js";

/** Where a command writes to; a part of what process.stdout is. */
export interface Terminal {
  write(text: string): unknown;
  readonly isTTY?: boolean;
  readonly columns?: number;
  readonly rows?: number;
}

type Colour = Parameters<typeof styleText>[0];

/** `text` in a colour if the terminal shows colours: NO_COLOR, FORCE_COLOR and pipes are heeded. */
export function coloured(colour: Colour, text: string, terminal: Terminal): string {
  // styleText asks the stream itself; what is not a stream shows no colours.
  if (terminal !== process.stdout && terminal !== process.stderr) return text;
  return styleText(colour, text, { stream: terminal as NodeJS.WriteStream, validateStream: true });
}

/** The colours that the protocol gives the states (section 1.7 of its notes), as near as sixteen colours come. */
const stateColours: Partial<Record<StateType, Colour>> = {
  Pending: "cyanBright",
  Scheduled: "yellow",
  Paused: "magentaBright",
  Submitted: "yellowBright",
  Queued: "yellowBright",
  Running: "blueBright",
  Cancelling: "gray",
  Success: "green",
  Skipped: "gray",
  Cancelled: "gray",
  Failed: "red",
};
/** The nearest kin first. */
const coloured_families = Object.keys(stateColours).reverse() as StateType[];

export function stateColour(state: string | null): Colour {
  if (!isStateType(state)) return "dim";
  const own =
    stateColours[state] ?? stateColours[coloured_families.find((family) => isType(state, family)) ?? "Pending"];
  return own ?? "dim";
}

export function stateText(state: string | null, terminal: Terminal): string {
  return coloured(stateColour(state), state ?? "no state", terminal);
}

/** A column of a table. */
export interface Column<Row> {
  title: string;
  text(row: Row): string;
  colour?(row: Row): Colour;
  align?: "right";
  /** Never cut, for instance an id that is to be copied. */
  whole?: boolean;
}

const GAP = 2;
/** No column is cut below this. */
const NARROWEST = 8;

/** Rows under titles. On a terminal the widest columns are cut until a row fits its width; in a pipe nothing is cut. */
export function table<Row>(columns: readonly Column<Row>[], rows: readonly Row[], terminal: Terminal): string {
  const cells = rows.map((row) => columns.map((column) => printable(column.text(row))));
  const wanted = columns.map((column, index) =>
    Math.max(textWidth(column.title), ...cells.map((line) => textWidth(line[index]!))),
  );
  const widths = fit(
    wanted,
    columns.map(({ whole }) => whole ?? false),
    terminal.isTTY && terminal.columns ? terminal.columns : Number.POSITIVE_INFINITY,
  );
  const line = (texts: readonly string[], paint: (text: string, index: number) => string) =>
    texts
      .map((text, index) => {
        const short = cut(text, widths[index]!);
        const painted = paint(short, index);
        const fill = " ".repeat(widths[index]! - textWidth(short));
        if (columns[index]!.align === "right") return fill + painted;
        return index === columns.length - 1 ? painted : padEnd(painted, widths[index]!);
      })
      .join(" ".repeat(GAP))
      .trimEnd();
  const head = line(
    columns.map(({ title }) => title),
    (text) => coloured("dim", text, terminal),
  );
  const body = cells.map((texts, row) =>
    line(texts, (text, index) => {
      const colour = columns[index]!.colour?.(rows[row]!);
      return colour === undefined ? text : coloured(colour, text, terminal);
    }),
  );
  return [head, ...body].join("\n");
}

function fit(wanted: readonly number[], whole: readonly boolean[], room: number): number[] {
  const widths = [...wanted];
  const total = () => widths.reduce((sum, width) => sum + width, 0) + GAP * (widths.length - 1);
  while (total() > room) {
    let widest = -1;
    widths.forEach((width, index) => {
      if (!whole[index] && width > NARROWEST && (widest < 0 || width > widths[widest]!)) widest = index;
    });
    if (widest < 0) break;
    widths[widest]! -= 1;
  }
  return widths;
}
