import t from "tap";
import type { LogLine } from "../src/core/context.js";
import { taskContext } from "../src/core/context.js";
import type { FlowDefinition, FlowOptions } from "../src/core/flow-definition.js";
import { parameter } from "../src/core/parameter.js";
import { filters } from "../src/core/schedule/schedule-rules.js";
import { schedules } from "../src/core/schedule/schedules.js";
import { task } from "../src/core/task.js";
import type { Clock } from "../src/engine/ports.js";
import { type ServeOptions, serveFlowHere } from "../src/serve-flow.js";
import { build } from "./helpers/build.js";

/** A clock that stands still but for what is slept. */
function stillClock(startsAt: string): Clock & { ms: number; slept: number[] } {
  const clock = {
    ms: Date.parse(startsAt),
    slept: [] as number[],
    now: () => clock.ms,
    sleep: async (ms: number, signal: AbortSignal) => {
      signal.throwIfAborted();
      clock.slept.push(ms);
      clock.ms += ms;
    },
  };
  return clock;
}

interface Served {
  runs: { startAt: string; state: string; output: unknown }[];
  lines: LogLine[];
}

/** Serves until so many runs have ended, or the schedule has. */
async function serve(flow: FlowDefinition, clock: Clock, most: number, options: ServeOptions = {}): Promise<Served> {
  const served: Served = { runs: [], lines: [] };
  const stop = new AbortController();
  await serveFlowHere(
    flow,
    {
      ...options,
      signal: stop.signal,
      log: (line) => served.lines.push(line),
      onRun: async (run, event) => {
        served.runs.push({ startAt: event.startAt, state: run.state.type, output: run.output });
        await options.onRun?.(run, event);
        if (served.runs.length >= most) stop.abort();
      },
    },
    clock,
  );
  return served;
}

const echo = task("echo", (value: unknown) => [value, taskContext().scheduledStartAt]);
const echoing = (options: FlowOptions) =>
  build("echoing", () => echo(parameter("region", { default: "none" })), options);

t.test("a flow is run at the times of its schedule, and each run knows its own", async (t) => {
  const clock = stillClock("2026-03-28T12:00:00Z");
  const schedule = schedules.cron("0 9 * * *", { timeZone: "Europe/Berlin" });
  const { runs } = await serve(echoing({ schedule }), clock, 2);
  t.same(runs, [
    { startAt: "2026-03-29T07:00:00.000Z", state: "Success", output: ["none", "2026-03-29T07:00:00.000Z"] },
    { startAt: "2026-03-30T07:00:00.000Z", state: "Success", output: ["none", "2026-03-30T07:00:00.000Z"] },
  ]);
  t.equal(clock.ms, Date.parse("2026-03-30T07:00:00Z"), "it waits for them");
  t.ok(
    clock.slept.every((ms) => ms <= 60_000),
    "and looks at the clock in between: it may have been set",
  );
});

t.test("parameters come from the clock, and from who serves before that", async (t) => {
  const schedule = schedules.combine({
    clocks: [
      schedules.cron("0 9 * * *", { parameterDefaults: { region: "EU" } }),
      schedules.cron("0 9 * * *", { parameterDefaults: { region: "US" } }),
    ],
  });
  const { runs } = await serve(echoing({ schedule }), stillClock("2026-03-28T12:00:00Z"), 2);
  t.same(
    runs.map(({ output }) => (output as unknown[])[0]),
    ["EU", "US"],
    "two clocks at one moment make two runs",
  );
  const own = await serve(echoing({ schedule }), stillClock("2026-03-28T12:00:00Z"), 1, {
    parameters: { region: "ours" },
  });
  t.match(own.runs[0]?.output, ["ours"]);
});

t.test("times that pass while a run is under way are skipped, with one line", async (t) => {
  const clock = stillClock("2026-03-28T12:00:30Z");
  const work = task("work", () => {
    clock.ms += 150_000;
  });
  const slow = build("slow", () => work(), {
    schedule: schedules.interval({ every: "1m" }),
  });
  const { runs, lines } = await serve(slow, clock, 2);
  t.same(
    runs.map(({ startAt }) => startAt.slice(11, 16)),
    ["12:01", "12:04"],
  );
  t.same(
    lines.filter(({ name }) => name === "millrace.serve").map(({ level, message }) => [level, message]),
    [
      [
        "WARNING",
        "2 times of the schedule passed while the run of 2026-03-28T12:01:00.000Z was under way, and are skipped: 2026-03-28T12:02:00.000Z to 2026-03-28T12:03:00.000Z.",
      ],
    ],
  );
});

t.test("a run that fails does not end the serving; the end of the schedule does", async (t) => {
  const failing = build("failing", () => task("fail", () => Promise.reject(new Error("no")))(), {
    schedule: schedules.dates(["2026-04-01", "2026-04-02"]),
  });
  const { runs, lines } = await serve(failing, stillClock("2026-03-28T12:00:00Z"), 10);
  t.same(
    runs.map(({ state }) => state),
    ["Failed", "Failed"],
  );
  t.match(lines.at(-1)?.message, /"failing" names no further time/);
});

t.test("what onRun throws ends the serving", async (t) => {
  const flow = echoing({ schedule: schedules.cron("0 9 * * *") });
  const onRun = () => {
    throw new Error("enough");
  };
  await t.rejects(serveFlowHere(flow, { onRun, log: () => {} }, stillClock("2026-03-28T12:00:00Z")), {
    message: "enough",
  });
});

t.test("filters that hold seldom are searched for until they do", async (t) => {
  const schedule = schedules.combine({
    clocks: [schedules.interval({ every: "1m" })],
    filters: [filters.onDate(12, 24)],
  });
  const { runs } = await serve(echoing({ schedule }), stillClock("2026-11-28T12:00:00Z"), 1);
  t.equal(runs[0]?.startAt, "2026-12-24T00:00:00.000Z", "further than one search of 10,000 minutes goes");
});

t.test("a signal ends the wait, and a run under way as Cancelled", async (t) => {
  const flow = echoing({ schedule: schedules.interval({ every: "1d" }) });
  await serveFlowHere(flow, { signal: AbortSignal.abort() });
  const stop = new AbortController();
  const serving = serveFlowHere(flow, { signal: stop.signal });
  stop.abort();
  await serving;

  const states: string[] = [];
  const listening = process.listenerCount("SIGINT");
  const halt = new AbortController();
  const waiting = build(
    "waiting",
    () => task("wait", () => new Promise((_, reject) => taskContext().signal.addEventListener("abort", reject)))(),
    { schedule: schedules.interval({ everyMs: 20 }) },
  );
  await serveFlowHere(waiting, {
    signal: halt.signal,
    log: () => {},
    onState: ({ taskSlug, state }) => {
      if (taskSlug !== null && state.type === "Running") halt.abort();
    },
    onRun: ({ state }) => void states.push(state.type),
  });
  t.same(states, ["Cancelled"]);
  t.equal(process.listenerCount("SIGINT"), listening, "and nothing is left listening for signals");
});

t.test("SIGTERM ends the serving", async (t) => {
  const flow = echoing({ schedule: schedules.interval({ every: "1d" }) });
  const listening = process.listenerCount("SIGTERM");
  const serving = serveFlowHere(flow, {});
  t.equal(process.listenerCount("SIGTERM"), listening + 1);
  process.kill(process.pid, "SIGTERM");
  await serving;
  t.equal(process.listenerCount("SIGTERM"), listening);
});

const refused: [title: string, flow: FlowDefinition, message: RegExp][] = [
  ["no schedule", echoing({}), /"echoing" has no schedule/],
  ["a cron text that cannot be read", echoing({ schedule: schedules.cron("61 * * * *") }), /61/],
  [
    "a required parameter without a value",
    build("asking", () => echo(parameter("day")), { schedule: schedules.cron("* * * * *") }),
    /"day"/,
  ],
];
for (const [title, flow, message] of refused) {
  t.test(`a flow with ${title} is not served`, async (t) => {
    await t.rejects(serveFlowHere(flow, {}), { code: "SCHEDULE_INVALID", message });
  });
}
