/**
 * A small ETL over real data: daily weather of Seattle, 2012 to 2015, as CSV in; one row a month in a SQLite file out.
 * Run it without a Cloud: `millrace run examples/weather/weather.ts --param csv=… --param database=…`.
 */
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { flow, parameter, task, taskContext, unmapped } from "millrace";

export interface Day {
  date: string;
  rainMm: number;
  maxC: number;
  minC: number;
}

export interface Month {
  month: string;
  days: number;
  rainMm: number;
  meanMaxC: number;
  warmestDay: string;
}

const readDays = task("read days", { tags: ["extract"] }, (csv: string): Day[] => {
  const [, ...lines] = readFileSync(csv, "utf8").trim().split("\n");
  const days = lines.map((line) => {
    const [date, rain, max, min] = line.split(",");
    return { date: date!, rainMm: Number(rain), maxC: Number(max), minC: Number(min) };
  });
  taskContext().logger.info(`${days.length} days read from ${csv}`);
  return days;
});

const listMonths = task("list months", (days: Day[]): string[] =>
  [...new Set(days.map((day) => day.date.slice(0, 7)))].sort(),
);

const summariseMonth = task("summarise month", { tags: ["transform"] }, (month: string, days: Day[]): Month => {
  const own = days.filter((day) => day.date.startsWith(month));
  const warmest = own.reduce((a, b) => (b.maxC > a.maxC ? b : a));
  const sum = (read: (day: Day) => number) => own.reduce((total, day) => total + read(day), 0);
  return {
    month,
    days: own.length,
    rainMm: Math.round(sum((day) => day.rainMm) * 10) / 10,
    meanMaxC: Math.round((sum((day) => day.maxC) / own.length) * 100) / 100,
    warmestDay: warmest.date,
  };
});

/** Stands for what happens at night: the first try finds the database busy, the second does not. */
const openDatabase = task(
  "open database",
  { retries: 2, retryDelayMs: 200, tags: ["load"] },
  (file: string): string => {
    if (taskContext().runCount === 1) throw new Error("the database is busy with its nightly backup");
    const database = new DatabaseSync(file);
    database.exec(
      "drop table if exists month; create table month (month text primary key, days int, rain_mm real, mean_max_c real, warmest_day text)",
    );
    database.close();
    return file;
  },
);

const writeMonths = task("write months", { tags: ["load"] }, (file: string, months: Month[]): number => {
  const database = new DatabaseSync(file);
  try {
    const insert = database.prepare("insert into month values (?, ?, ?, ?, ?)");
    database.exec("begin");
    for (const { month, days, rainMm, meanMaxC, warmestDay } of months)
      insert.run(month, days, rainMm, meanMaxC, warmestDay);
    database.exec("commit");
  } finally {
    database.close();
  }
  taskContext().logger.info(`${months.length} months written to ${file}`);
  return months.length;
});

export const weather = flow("weather", { description: "Daily weather in, one row a month out." }, () => {
  const csv = parameter<string>("csv", { description: "Path of the CSV file" });
  const database = parameter<string>("database", { description: "Path of the SQLite file to write" });
  const days = readDays(csv);
  const months = summariseMonth.map(listMonths(days), unmapped(days));
  return { written: writeMonths(openDatabase(database), months) };
});
