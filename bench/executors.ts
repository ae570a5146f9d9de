import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { Piscina } from "piscina";
import { type ExecutorOptions, executors, type Flow } from "../src/index.js";
import { bareCrunch } from "./bare-crunch.js";
import type { BareLimits } from "./bare-limits.js";
import { type BenchRow, type BenchTable, median, micros, millis } from "./table.js";

const FLOWS = new URL("../../bench/flows/executor-flows.ts", import.meta.url);
const TASKS = 8;
const TASK_MS = 50;
/** Two widths of a map: what the second costs more is the tasks' alone, without the run's beginning and the threads' start. */
const [NARROW, WIDE] = [200, 2_200];

/** Where tasks run: 8 that burn 50 ms each, and what a task that does nothing costs. No Cloud. */
export async function benchExecutors({ hopMs }: BareLimits, quick: boolean): Promise<BenchTable> {
  const { crunch8, noops } = (await import(FLOWS.href)) as Record<"crunch8" | "noops", Flow>;
  const rounds = quick ? 2 : 7;
  const home = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  const before = process.env.MILLRACE_HOME;
  process.env.MILLRACE_HOME = home;
  try {
    const work = calibrate();
    const [oneMs, bareMs] = [
      await time(rounds, async () => bareCrunch(work)),
      await time(rounds, () => barePool(work)),
    ];
    const crunchMs = (executor: ExecutorOptions) => time(rounds, () => run(crunch8, executor, { rounds: work }));
    const noopMs = async (executor: ExecutorOptions) => {
      const [narrow, wide] = [NARROW, WIDE].map((count) => () => run(noops, executor, { count }));
      return ((await time(rounds, wide!)) - (await time(rounds, narrow!))) / (WIDE - NARROW);
    };
    const rows: BenchRow[] = [
      row("8 × 50 ms, sequential", await crunchMs(executors.sequential()), TASKS * oneMs, millis, "the work itself"),
      row(
        "8 × 50 ms, threads",
        await crunchMs(executors.threads()),
        bareMs,
        millis,
        "bare piscina, its start included",
      ),
      row(
        "8 × 50 ms, 2 threads",
        await crunchMs(executors.threads({ size: 2 })),
        (TASKS / 2) * oneMs,
        millis,
        "half the work",
      ),
      row("a no-op, sequential", await noopMs(executors.sequential())),
      row("a no-op, concurrent", await noopMs(executors.concurrent())),
      row("a no-op, 1 thread", await noopMs(executors.threads({ size: 1 })), hopMs, micros, "piscina hop"),
      row(
        "a no-op, threads",
        await noopMs(executors.threads()),
        hopMs / availableParallelism(),
        micros,
        "piscina hop, spread",
      ),
    ];
    return {
      title: `Executors, on ${availableParallelism()} processors`,
      rows,
      note: "A run on threads begins with their start; loading the flow's code is most of that. They end with the run.",
    };
  } finally {
    if (before === undefined) delete process.env.MILLRACE_HOME;
    else process.env.MILLRACE_HOME = before;
    rmSync(home, { recursive: true, force: true });
  }
}

function row(what: string, ms: number, bareMs?: number, unit = micros, of = ""): BenchRow {
  const bare = bareMs === undefined ? "" : `${unit(bareMs)} ${of}`;
  return { what, figure: unit(ms), bare, ratio: bareMs === undefined ? "" : (ms / bareMs).toFixed(2), goal: "" };
}

async function run(flow: Flow, executor: ExecutorOptions, parameters: Record<string, unknown>): Promise<void> {
  const { state } = await flow.run(parameters, { executor });
  if (state.type !== "Success") throw new Error(`the bench flow ended ${state.type}: ${state.message}`);
}

/** How much work takes {@link TASK_MS} here: a fixed amount, so that a processor that is shared shows. */
function calibrate(): number {
  let rounds = 1_000_000;
  for (;;) {
    bareCrunch(rounds);
    const from = performance.now();
    bareCrunch(rounds);
    const tookMs = performance.now() - from;
    if (tookMs >= TASK_MS / 2) return Math.round((rounds * TASK_MS) / tookMs);
    rounds *= 2;
  }
}

async function barePool(work: number): Promise<void> {
  const filename = new URL("./bare-crunch.js", import.meta.url).href;
  const pool = new Piscina({ filename, name: "bareCrunch", maxThreads: availableParallelism(), atomics: "disabled" });
  await Promise.all(Array.from({ length: TASKS }, () => pool.run(work)));
  await pool.destroy();
}

/** Milliseconds, the median of the rounds; one before them warms up. */
async function time(rounds: number, work: () => Promise<unknown>): Promise<number> {
  const spans: number[] = [];
  for (let index = 0; index <= rounds; index += 1) {
    const from = performance.now();
    await work();
    if (index > 0) spans.push(performance.now() - from);
  }
  return median(spans);
}
