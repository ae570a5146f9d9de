import { childrenText, isFinishedName, type LiveRun, type LiveTask, type RunChange, shownState } from "./live-run.js";
import { coloured, stateColour, type Terminal } from "./print.js";
import { cut, durationText, padEnd, printable } from "./text.js";

/** How often a picture is drawn at most, and how often its durations move while nothing happens. */
const DRAW_EVERY_MS = 100;
/** The longest names of states have 16 letters; the usual ones fit in this. */
const STATE_WIDTH = 13;
const DURATION_WIDTH = 8;
/** Lines of the terminal that the picture leaves alone. */
const LINES_LEFT = 2;

export interface LiveView {
  update(change: RunChange): void;
  /** Writes a line above the picture. */
  say(text: string): void;
  /** Draws the last picture and lets go of the terminal. */
  end(): void;
}

/** On a terminal a picture that is redrawn in place, otherwise one line for each change. */
export function openLiveView(run: LiveRun, terminal: Terminal, now: () => number = Date.now): LiveView {
  return terminal.isTTY ? pictureView(run, terminal, now) : lineView(run, terminal);
}

function pictureView(run: LiveRun, terminal: Terminal, now: () => number): LiveView {
  let drawn = 0;
  let changed = true;
  const erase = () => {
    if (drawn > 0) terminal.write(`\u001b[${drawn}A\r\u001b[J`);
    drawn = 0;
  };
  const draw = (everything: boolean) => {
    const lines = picture(run, terminal, now(), everything);
    erase();
    terminal.write(lines.map((line) => `${line}\n`).join(""));
    drawn = lines.length;
    changed = false;
  };
  const timer = setInterval(() => {
    if (changed || run.startAt !== null) draw(false);
  }, DRAW_EVERY_MS);
  draw(false);
  return {
    update(change) {
      changed = run.apply(change) || changed;
    },
    say(text) {
      erase();
      terminal.write(`${text}\n`);
      draw(false);
    },
    end() {
      clearInterval(timer);
      draw(true);
    },
  };
}

/** The run's line and a line for each task; too many for the terminal are told by number, finished ones first. */
export function picture(run: LiveRun, terminal: Terminal, now: number, everything: boolean): string[] {
  // A terminal that does not know its size says 0.
  const width = (terminal.columns || 80) - 1;
  const room = everything ? Number.POSITIVE_INFINITY : (terminal.rows || 24) - LINES_LEFT - 2;
  const tasks = [...run.tasks.values()];
  const shown = tasks.length <= room ? tasks : mostTelling(tasks, Math.max(1, room - 1));
  const lines = shown.map((task) => taskLine(task, terminal, width, now));
  if (shown.length < tasks.length) lines.push(coloured("dim", `  … and ${tasks.length - shown.length} more`, terminal));
  return [runLine(run, terminal, width, now), ...lines];
}

function runLine(run: LiveRun, terminal: Terminal, width: number, now: number): string {
  const state = run.state ?? "Scheduled";
  const text = cut(`${run.title}  ${state}  ${durationText(run.startAt, run.endAt, now)}`, width);
  return text.replace(state, coloured(stateColour(state), state, terminal));
}

function taskLine(task: LiveTask, terminal: Terminal, width: number, now: number): string {
  const state = shownState(task) ?? "Pending";
  const duration = durationText(task.startAt, isFinishedName(state) ? (task.endAt ?? task.startAt) : null, now);
  const name = printable(task.slug);
  const facts = [childrenText(task), task.earlierTries > 0 ? `try ${task.earlierTries + 1}` : "", reason(task, state)];
  const rest = [name, ...facts.filter((fact) => fact !== "")].join("  ");
  const fixed = 2 + STATE_WIDTH + 2 + DURATION_WIDTH + 2;
  const painted = padEnd(coloured(stateColour(state), state, terminal), STATE_WIDTH);
  return `  ${painted}  ${padEnd(duration, DURATION_WIDTH)}  ${cut(rest, Math.max(8, width - fixed))}`;
}

/** Only what went wrong needs words. */
function reason(task: LiveTask, state: string): string {
  // A mapped task's own message is of its beginning; its children have said what went wrong.
  const wrong = ["red", "yellow"].includes(String(stateColour(state))) && task.state !== "Mapped";
  return (wrong || state === "Paused") && task.message ? printable(task.message) : "";
}

/** What runs or went wrong first, then what waits, then what is done; in the flow's order among equals. */
function mostTelling(tasks: readonly LiveTask[], room: number): LiveTask[] {
  const rank = (task: LiveTask) => {
    const state = shownState(task);
    if (state === "Success" || state === "Skipped" || state === "Cached") return 2;
    return state === null || state === "Pending" ? 1 : 0;
  };
  const kept = new Set([...tasks].sort((a, b) => rank(a) - rank(b)).slice(0, room));
  return tasks.filter((task) => kept.has(task));
}

function lineView(run: LiveRun, terminal: Terminal): LiveView {
  const shown = new Map<string, string>();
  const write = (at: string, what: string, state: string, more: string) => {
    const painted = padEnd(coloured(stateColour(state), state, terminal), STATE_WIDTH);
    terminal.write(`${at.slice(11, 23)}  ${painted}  ${[what, more].filter((part) => part !== "").join("  ")}\n`);
  };
  return {
    update(change) {
      if (!run.apply(change)) return;
      if (change.taskSlug === null) {
        write(change.at, run.title, change.state, printable(change.message ?? ""));
        return;
      }
      const task = run.tasks.get(change.taskSlug)!;
      if (change.mapIndex >= 0 && isWorthALine(change.state)) {
        write(change.at, `${task.slug}[${change.mapIndex}]`, change.state, printable(change.message ?? ""));
      }
      const state = shownState(task) ?? "Pending";
      // What has not begun is no news.
      if (state === "Pending" || (shown.get(task.slug) === state && change.mapIndex >= 0)) return;
      shown.set(task.slug, state);
      const tries = task.earlierTries > 0 ? `try ${task.earlierTries + 1}` : "";
      write(
        change.at,
        printable(task.slug),
        state,
        [childrenText(task), tries, reason(task, state)].filter(Boolean).join("  "),
      );
    },
    say: (text) => terminal.write(`${text}\n`),
    end() {},
  };
}

/** A child among thousands gets a line of its own only when it did not go well. */
function isWorthALine(state: string): boolean {
  return state === "Retrying" || stateColour(state) === "red";
}
