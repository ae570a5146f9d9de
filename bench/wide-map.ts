import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { BenchTable } from "./table.js";

/** The goal of the widest map, in MiB of the whole process. */
const MAX_PEAK_MIB = 1_024;
const GOAL_WIDTH = 100_000;
const WIDTHS = [25_000, 50_000, GOAL_WIDTH, 200_000];
/** A process that doubles its children may take so many times the memory that it took for half: V8 keeps what it was given. */
const MAX_GROWTH = 2.2;

/** How much memory a map's children take, each width in a process of its own. */
export async function benchWideMaps(quick: boolean): Promise<BenchTable> {
  const peaks: { width: number; peakMib: number; microsATask: number }[] = [];
  for (const width of quick ? WIDTHS.slice(0, 3) : WIDTHS) {
    const file = fileURLToPath(new URL("./wide-map-process.js", import.meta.url));
    const { stdout } = await promisify(execFile)(process.execPath, [file, String(width)]);
    peaks.push({ width, ...(JSON.parse(stdout) as { peakMib: number; microsATask: number }) });
  }
  return {
    title: "The engine alone: the memory of a wide map",
    rows: peaks.map(({ width, peakMib, microsATask }, at) => {
      const before = peaks[at - 1];
      return {
        what: `${width.toLocaleString("en")} children`,
        figure: `${Math.round(peakMib)} MiB at its peak`,
        bare: `${microsATask.toFixed(1)} µs a task, cold`,
        ratio: before ? `${(peakMib / before.peakMib).toFixed(2)} ×` : "",
        goal: width === GOAL_WIDTH ? "≤ 1 GiB" : "",
        ...(width === GOAL_WIDTH
          ? { reached: peakMib <= MAX_PEAK_MIB && peakMib <= MAX_GROWTH * before!.peakMib }
          : {}),
      };
    }),
    note: "The ratio is to the row above: linear growth is 2 or less, since every process has its own 60 MiB to begin with.",
  };
}
