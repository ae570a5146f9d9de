import t from "tap";
import { type Column, stateColour, type Terminal, table } from "../../src/cli/print.js";
import { textWidth } from "../../src/cli/text.js";
import { stateTypes } from "../../src/core/state.js";

interface Row {
  name: string;
  count: number;
  id: string;
}
const columns: Column<Row>[] = [
  { title: "NAME", text: (row) => row.name },
  { title: "COUNT", text: (row) => String(row.count), align: "right" },
  { title: "ID", text: (row) => row.id, whole: true },
];
const rows: Row[] = [
  { name: "a name that is rather long and does not fit", count: 7, id: "0193a000-0000-7000-8000-000000000001" },
  { name: "b\nreak", count: 12, id: "short" },
];
const pipe: Terminal = { write: () => true };
const narrow: Terminal = { write: () => true, isTTY: true, columns: 60 };

t.test("a table in a pipe is whole, with aligned columns", async (t) => {
  t.equal(
    table(columns, rows, pipe),
    [
      "NAME                                         COUNT  ID",
      "a name that is rather long and does not fit      7  0193a000-0000-7000-8000-000000000001",
      "b reak                                          12  short",
    ].join("\n"),
  );
});

t.test("a table on a terminal is cut to its width, but never an id", async (t) => {
  const lines = table(columns, rows, narrow).split("\n");
  for (const line of lines) t.ok(textWidth(line) <= 60, line);
  t.match(lines[1], /^a name that.*…/);
  t.match(lines[1], rows[0]!.id);
});

t.test("a table keeps its columns readable on a terminal that is far too narrow", async (t) => {
  const lines = table(columns, rows, { ...narrow, columns: 10 }).split("\n");
  t.match(lines[1], rows[0]!.id);
});

t.test("every state has a colour, and kin share theirs", async (t) => {
  for (const state of stateTypes) t.ok(stateColour(state));
  t.equal(stateColour("TimedOut"), stateColour("Failed"));
  t.equal(stateColour("Cached"), stateColour("Success"));
  t.equal(stateColour("Retrying"), stateColour("Scheduled"));
  t.equal(stateColour("Running"), "blueBright");
  t.equal(stateColour(null), "dim");
});
