import t from "tap";
import { taskDates } from "../../src/core/task-dates.js";

t.test("the days around an instant are those of UTC, with and without dashes", async (t) => {
  t.strictSame(
    { ...taskDates("2026-03-01T00:30:00+01:00") },
    {
      date: "2026-02-28T23:30:00.000Z",
      today: "2026-02-28",
      yesterday: "2026-02-27",
      tomorrow: "2026-03-01",
      todayNodash: "20260228",
      yesterdayNodash: "20260227",
      tomorrowNodash: "20260301",
    },
  );
});

t.test("a leap day and the end of a year have their neighbours", async (t) => {
  t.match(taskDates("2028-02-29T12:00:00Z"), { yesterday: "2028-02-28", tomorrow: "2028-03-01" });
  t.match(taskDates("2026-12-31T23:59:59.999Z"), { today: "2026-12-31", tomorrow: "2027-01-01" });
});

t.test("what is no instant is refused", async (t) => {
  t.throws(() => taskDates("soon"), { code: "INPUT_INVALID", message: /"soon" is not an instant/, hint: /ISO 8601/ });
});
