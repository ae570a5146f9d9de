import { execFile } from "node:child_process";
import { promisify } from "node:util";
import t from "tap";

/** One of every clock, filter and move; printed by a process of its own. */
const program = `
const [{ scheduleEvents }, { schedules }, { filters, adjustments }, { toSerializedSchedule }] = await Promise.all(
  ["schedule/schedule-events.js", "core/schedule/schedules.js", "core/schedule/schedule-rules.js", "schedule/serialized-schedule.js"].map(
    (file) => import(new URL("src/" + file, process.argv[1])),
  ),
);
const out = [];
for (const timeZone of [undefined, "Europe/Berlin", "Australia/Lord_Howe"]) {
  const zone = timeZone ? { timeZone } : {};
  const clocks = [
    schedules.interval({ every: "1d", startAt: "2026-01-01T02:30", ...zone }),
    schedules.cron("30 2,14 * * *", zone),
    schedules.cron("*/15 1-3 * * 0", zone),
    schedules.dates(["2026-03-29T02:30", "2026-10-25T02:30", "2026-04-05"], zone),
    schedules.rrule("FREQ=DAILY;BYHOUR=2;BYMINUTE=30", zone),
    schedules.rrule("DTSTART:20260101T023000\\nRRULE:FREQ=WEEKLY;BYDAY=SU\\nEXDATE:20260405T023000\\nRDATE:20260406T023000", zone),
  ];
  const rules = [{}, { filters: [filters.isWeekend, filters.betweenTimes("02:00", "03:00")], adjustments: [adjustments.nextWeekday, adjustments.add("1d")] }];
  for (const clock of clocks)
    for (const rule of rules)
      for (const after of ["2026-03-26", "2026-10-01T00:00:00", "2026-10-24T12:00Z"])
        out.push(scheduleEvents(schedules.combine({ clocks: [clock], ...rule }), { after, limit: 12 }), toSerializedSchedule(clock));
}
console.log(JSON.stringify(out));
`;

t.test("the time zone of the process does not matter", async (t) => {
  const base = new URL("../../", import.meta.url).href;
  const printed = await Promise.all(
    ["UTC", "America/New_York", "Pacific/Apia"].map(async (TZ) => {
      const env = { ...process.env, TZ };
      const { stdout } = await promisify(execFile)(
        process.execPath,
        ["--input-type=module", "-e", program.replace("process.argv[1]", JSON.stringify(base))],
        { env, maxBuffer: 10_000_000 },
      );
      const told = await promisify(execFile)(process.execPath, ["-p", "new Date(0).getHours()"], { env });
      return { TZ, stdout, hour: told.stdout.trim() };
    }),
  );
  t.equal(new Set(printed.map(({ hour }) => hour)).size, 3, "the processes do stand in three zones");
  const first = JSON.parse(printed[0]!.stdout) as unknown[][];
  t.equal(first.length, 216);
  t.ok(first.flat().length > 800, "there are events to compare");
  for (const { TZ, stdout } of printed.slice(1)) t.equal(stdout, printed[0]!.stdout, TZ);
});
