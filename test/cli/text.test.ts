import t from "tap";
import { finishedAt } from "../../src/cli/commands/get.js";
import { agoText, cut, durationText, padEnd, printable, spanText, textWidth } from "../../src/cli/text.js";

const NOW = Date.parse("2026-11-23T12:00:00.000Z");

t.test("the width of a text counts what a terminal shows", async (t) => {
  t.equal(textWidth("orders"), 6);
  t.equal(textWidth("\u001b[31mred\u001b[39m"), 3);
  t.equal(textWidth("日本"), 4);
  t.equal(textWidth("e\u0301"), 1, "a letter and its mark are one");
  t.equal(textWidth("🎉"), 2);
});

t.test("a text is cut to its columns with an ellipsis", async (t) => {
  t.equal(cut("orders", 6), "orders");
  t.equal(cut("orders", 5), "orde…");
  t.equal(cut("日本語", 4), "日…");
  t.equal(cut("orders", 0), "");
  t.equal(padEnd("日", 4), "日  ");
});

t.test("nothing in a name moves the cursor or breaks the line", async (t) => {
  t.equal(printable("a\u001b[2Jb\nc\td\u0007\u202e"), "ab c d");
});

t.test("spans are said in the units that people use", async (t) => {
  const spans: [number, string][] = [
    [0, "0ms"],
    [-5, "0ms"],
    [340, "340ms"],
    [4_280, "4.2s"],
    [59_990, "59.9s"],
    [185_000, "3m 05s"],
    [7_800_000, "2h 10m"],
    [442_800_000, "5d 03h"],
  ];
  for (const [ms, text] of spans) t.equal(spanText(ms), text);
});

t.test("instants are said as how long ago, or how soon", async (t) => {
  t.equal(agoText(null, NOW), "–");
  t.equal(agoText("2026-11-23T11:59:59.500Z", NOW), "just now");
  t.equal(agoText("2026-11-23T11:57:00.000Z", NOW), "3m ago");
  t.equal(agoText("2026-11-21T11:57:00.000+00:00", NOW), "2d ago");
  t.equal(agoText("2026-11-23T14:00:01.000Z", NOW), "in 2h");
});

t.test("a duration without an end goes on until now", async (t) => {
  t.equal(durationText(null, null, NOW), "–");
  t.equal(durationText("2026-11-23T11:59:58.000Z", null, NOW), "2.0s");
  t.equal(durationText("2026-11-23T11:59:58.000Z", "2026-11-23T11:59:58.100Z", NOW), "100ms");
});

t.test("a skipped task, for which the Cloud notes no end, took until it was skipped", async (t) => {
  const stateAt = "2026-11-23T11:59:58.100Z";
  t.equal(finishedAt({ state: "Skipped", stateAt }), stateAt);
  t.equal(finishedAt({ state: "Running", stateAt }), null);
  t.equal(finishedAt({ state: null, stateAt }), null);
});
