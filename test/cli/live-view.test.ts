import t from "tap";
import { childrenText, LiveRun, type RunChange, shownState } from "../../src/cli/live-run.js";
import { openLiveView, picture } from "../../src/cli/live-view.js";
import type { Terminal } from "../../src/cli/print.js";

const AT = "2026-11-23T12:00:00.000Z";
const NOW = Date.parse(AT) + 1_500;

function change(taskSlug: string | null, state: string, more: Partial<RunChange> = {}): RunChange {
  const rest = { mapIndex: -1, message: null, at: AT, startAt: AT, endAt: null, runCount: null, mapCount: null };
  return { ...rest, taskSlug, state, ...more };
}

function recording(size: { isTTY?: boolean; columns?: number; rows?: number } = {}): Terminal & { text: string } {
  return {
    ...size,
    text: "",
    write(text: string) {
      this.text += text;
    },
  };
}

t.test("mapped children are counted", async (t) => {
  const run = new LiveRun("run", ["work-1"]);
  run.apply(change("work-1", "Mapped", { mapCount: 4 }));
  const task = run.tasks.get("work-1")!;
  t.equal(childrenText(task), "0/4 done");
  t.equal(shownState(task), "Running");
  run.apply(change("work-1", "Success", { mapIndex: 0 }));
  run.apply(change("work-1", "Running", { mapIndex: 1 }));
  run.apply(change("work-1", "Retrying", { mapIndex: 2 }));
  t.equal(childrenText(task), "1/4 done, 1 running, 1 retrying");
  for (const mapIndex of [1, 2]) run.apply(change("work-1", "Success", { mapIndex }));
  t.equal(shownState(task), "Running", "the fourth child has not begun");
  run.apply(change("work-1", "Failed", { mapIndex: 3 }));
  t.equal(childrenText(task), "4/4 done, 1 failed");
  t.equal(shownState(task), "Failed");
});

t.test("a change that is already known is none", async (t) => {
  const run = new LiveRun("run", ["a-1"]);
  t.equal(run.apply(change("a-1", "Running")), true);
  t.equal(run.apply(change("a-1", "Running")), false);
  t.equal(run.apply(change(null, "Running")), true);
  t.equal(run.apply(change(null, "Running")), false);
});

t.test("a picture has a line for each task, with its try and what went wrong", async (t) => {
  const run = new LiveRun("Flow run wise-otter", ["load-1", "clean-1", "write-1"]);
  run.apply(change(null, "Running"));
  run.apply(change("load-1", "Retrying", { runCount: 1, message: "out of luck" }));
  run.apply(change("clean-1", "Running"));
  t.same(picture(run, recording({ columns: 80 }), NOW, false), [
    "Flow run wise-otter  Running  1.5s",
    "  Retrying       1.5s      load-1  try 2  out of luck",
    "  Running        1.5s      clean-1",
    "  Pending        –         write-1",
  ]);
  run.apply(change("load-1", "Running", { runCount: 2 }));
  t.match(picture(run, recording({ columns: 80 }), NOW, false)[1], /Running .* load-1 {2}try 2$/);
});

t.test("a pause says what it asks for; of a map that failed, its children have said why", (t) => {
  const run = new LiveRun("run", ["release?-1", "work-1"]);
  run.apply(change("release?-1", "Paused", { message: "Which version?" }));
  run.apply(change("work-1", "Mapped", { mapCount: 1, message: "Ready to proceed with mapping." }));
  run.apply(change("work-1", "Failed", { mapIndex: 0, message: "out of luck" }));
  const [, paused, mapped] = picture(run, recording({ columns: 80 }), NOW, false);
  t.match(paused, /Paused .*release\?-1 {2}Which version\?$/);
  t.match(mapped, /Failed .*work-1 {2}1\/1 done, 1 failed$/);
  t.end();
});

t.test("a picture fits the terminal; the tasks that run or failed are the ones shown", async (t) => {
  const slugs = Array.from({ length: 50 }, (_, index) => `task-${index}`);
  const run = new LiveRun("A flow run with a title that is too long for so narrow a terminal", slugs);
  for (const slug of slugs.slice(0, 40)) run.apply(change(slug, "Success", { endAt: AT }));
  run.apply(change("task-41", "Running"));
  run.apply(change("task-7", "Failed", { message: "a message that is much too long for it" }));
  const lines = picture(run, recording({ columns: 40, rows: 10 }), NOW, false);
  t.ok(lines.length < 10);
  for (const line of lines) t.ok(line.length < 40, line);
  t.ok(lines.some((line) => line.includes("task-41")));
  t.ok(lines.some((line) => line.includes("task-7")));
  t.match(lines.at(-1), /… and \d+ more/);
  t.equal(picture(run, recording({ columns: 40, rows: 10 }), NOW, true).length, 51, "all of them at the end");
});

t.test("on a terminal the picture is redrawn over itself", async (t) => {
  const terminal = recording({ isTTY: true, columns: 80, rows: 24 });
  const view = openLiveView(new LiveRun("run", ["a-1"]), terminal, () => NOW);
  view.say("a line of the log");
  view.update(change("a-1", "Success", { endAt: AT }));
  view.end();
  t.match(terminal.text, "\u001b[2A\r\u001b[Ja line of the log\n");
  t.match(terminal.text, /Success +0ms +a-1\n$/);
});

t.test("in a pipe each change is one line, without escape sequences", async (t) => {
  const terminal = recording();
  const view = openLiveView(new LiveRun("Flow run", ["a-1", "work-1"]), terminal);
  view.update(change(null, "Running"));
  view.update(change("a-1", "Pending"));
  view.update(change("a-1", "Running"));
  view.update(change("a-1", "Running"));
  view.update(change("work-1", "Mapped", { mapCount: 2 }));
  view.update(change("work-1", "Running", { mapIndex: 0 }));
  view.update(change("work-1", "Retrying", { mapIndex: 0, message: "again\u001b[2J" }));
  view.update(change("work-1", "Success", { mapIndex: 0 }));
  view.update(change("work-1", "Success", { mapIndex: 1 }));
  view.end();
  t.same(terminal.text.trimEnd().split("\n"), [
    "12:00:00.000  Running        Flow run",
    "12:00:00.000  Running        a-1",
    "12:00:00.000  Running        work-1  0/2 done",
    "12:00:00.000  Retrying       work-1[0]  again",
    "12:00:00.000  Success        work-1  2/2 done",
  ]);
});
