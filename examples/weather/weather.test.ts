/** The flow's own tests, with no Cloud, no file and no waiting: `node --test examples/weather/weather.test.ts`. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { expectEnds, testFlow } from "millrace/testing";
import { type Month, weather } from "./weather.ts";

const days = [
  { date: "2012-01-01", rainMm: 0.5, maxC: 4, minC: 1 },
  { date: "2012-01-02", rainMm: 1.5, maxC: 8, minC: 2 },
  { date: "2012-02-01", rainMm: 3, maxC: 10, minC: 5 },
];
const written: Month[] = [];
const run = await testFlow(weather, {
  parameters: { csv: "not read", database: ":memory:" },
  stubs: {
    "read days": () => days,
    "write months": (_file: string, months: Month[]) => written.push(...months),
  },
});

test("each month has one row, with its rain and its warmest day", () => {
  assert.equal(run.state.type, "Success");
  assert.deepEqual(written, [
    { month: "2012-01", days: 2, rainMm: 2, meanMaxC: 6, warmestDay: "2012-01-02" },
    { month: "2012-02", days: 1, rainMm: 3, meanMaxC: 10, warmestDay: "2012-02-01" },
  ]);
});

test("a busy database is tried again a little later", () => {
  assert.deepEqual(run.types("open database-load-1"), ["Running", "Retrying", "Running", "Success"]);
  expectEnds(run, { "write months-load-1": "Success", "summarise month-transform-1[1]": "Success" });
});
