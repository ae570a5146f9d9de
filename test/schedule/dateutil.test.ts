import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { schedules } from "../../src/core/schedule/schedules.js";
import { scheduleEvents } from "../../src/schedule/schedule-events.js";
import { repository } from "../helpers/fixture.js";

/**
 * Random rules from 2024-01-31T09:15 on, each with its first dates from March of that year as python-dateutil 2.9.0 gives
 * them: the library that Prefect's own recurrence clock stands on.
 */
const cases = JSON.parse(readFileSync(join(repository, "test/schedule/dateutil-rules.json"), "utf8")) as [
  parts: string,
  expected: string[],
][];

t.test("recurrence rules have the dates that they have in Python", async (t) => {
  t.ok(cases.length > 130);
  for (const [parts, expected] of cases) {
    const schedule = schedules.rrule(`DTSTART:20240131T091500\nRRULE:${parts}`);
    const events = scheduleEvents(schedule, { after: "2024-03-01", limit: expected.length });
    t.same(
      events.map(({ startAt }) => startAt.slice(0, 16)),
      expected,
      parts,
    );
  }
});
