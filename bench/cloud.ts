import { monitorEventLoopDelay } from "node:perf_hooks";
import { setTimeout as sleep } from "node:timers/promises";
import type { Deployment, Flow } from "../src/index.js";
import type { BareLimits } from "./bare-limits.js";
import { type Bed, createRuns, deploy, finished, withAgent } from "./bed.js";
import { type BenchRow, type BenchTable, median, micros, millis, percentile, perSecond } from "./table.js";

const FLOWS = new URL("../../bench/flows/bench-flows.ts", import.meta.url);

/** The author's own module: benched as users run it, bundled from its source. */
async function benchFlows(): Promise<Record<"chain100" | "map1000" | "chain5" | "hello" | "burner", Flow>> {
  return import(FLOWS.href);
}

interface Span {
  start_time: string;
  end_time: string;
}

async function spans(bed: Bed, flowId: string): Promise<{ ms: number; from: number; to: number }[]> {
  const { flow_run } = await bed.cloud.query<{ flow_run: Span[] }>(
    `query ($flow: UUID) { flow_run(where: { flow_id: { _eq: $flow } }, order_by: { created: asc }, limit: 1000) { start_time end_time } }`,
    { flow: flowId },
  );
  return flow_run.map((run) => {
    const from = Date.parse(run.start_time);
    const to = Date.parse(run.end_time);
    return { ms: to - from, from, to };
  });
}

/** Chain of 100 and map of 1,000: one run at a time on one warm thread; the first run warms up and is not counted. */
export async function benchTasks(bed: Bed, bare: BareLimits, quick: boolean): Promise<BenchTable> {
  const flows = await benchFlows();
  const rounds = quick ? 3 : 15;
  const measure = async (flow: Flow) => {
    const deployment = await deploy(bed, flow);
    await withAgent(bed, deployment, 1, async () => {
      for (let round = 1; round <= rounds + 1; round += 1) {
        await createRuns(bed, deployment, 1);
        await finished(bed, deployment.flowId, round, 20);
      }
    });
    return median((await spans(bed, deployment.flowId)).slice(1).map((each) => each.ms));
  };
  const chainMs = (await measure(flows.chain100)) / 100;
  const mapMs = await measure(flows.map1000);
  const limit = bare.httpMs + bare.commitMs;
  return {
    title: "Durable tasks: every state committed before the next task's start is accepted",
    rows: [
      {
        what: "chain of 100, a task",
        figure: `${micros(chainMs)} (${perSecond(1000 / chainMs)})`,
        bare: `${micros(limit)} round trip + commit`,
        ratio: (chainMs / limit).toFixed(2),
        goal: "≤ 4",
        reached: chainMs / limit <= 4,
      },
      {
        what: "map of 1,000",
        figure: perSecond(1_000_000 / mapMs),
        bare: `${perSecond(1000 / (2 * bare.rowMs))} two row writes`,
        ratio: (mapMs / 1000 / (2 * bare.rowMs)).toFixed(2),
        goal: "≥ 6,000/s",
        reached: 1_000_000 / mapMs >= 6000,
      },
    ],
    note: "A task of the chain is one HTTP round trip, one commit and two thread hops; the map is bound by JSON and row writes in the server.",
  };
}

/** 500 flow runs of 5 chained tasks on 2 threads, all asked for beforehand. */
export async function benchRuns(bed: Bed, bare: BareLimits, quick: boolean): Promise<BenchTable> {
  const { chain5 } = await benchFlows();
  const deployment = await deploy(bed, chain5);
  const count = quick ? 100 : 500;
  const warm = 20;
  await createRuns(bed, deployment, warm);
  await withAgent(bed, deployment, 2, () => finished(bed, deployment.flowId, warm, 50));
  const from = performance.now();
  await createRuns(bed, deployment, count);
  const createMs = (performance.now() - from) / count;
  await withAgent(bed, deployment, 2, () => finished(bed, deployment.flowId, warm + count, 150));
  const all = (await spans(bed, deployment.flowId)).slice(warm);
  const rate = (count * 1000) / (Math.max(...all.map((each) => each.to)) - Math.min(...all.map((each) => each.from)));
  return {
    title: `${count} flow runs of 5 tasks on 2 threads`,
    rows: [
      {
        what: "runs",
        figure: perSecond(rate),
        bare: `${perSecond(2000 / (6 * (bare.httpMs + bare.commitMs)))} at 6 round trips a run`,
        ratio: (2000 / (6 * (bare.httpMs + bare.commitMs)) / rate).toFixed(2),
        goal: "≥ 400/s",
        reached: rate >= 400,
      },
      {
        what: "create a run",
        figure: millis(createMs),
        bare: micros(bare.httpMs + bare.commitMs),
        ratio: (createMs / (bare.httpMs + bare.commitMs)).toFixed(2),
        goal: "",
      },
    ],
    note: "A run is claimed in the round trip that ends the one before it; each of its tasks waits for one more.",
  };
}

/** From the create call to the first line of the author's code on an idle agent, and the same for the very first run. */
export async function benchLatency(bed: Bed, bare: BareLimits, quick: boolean): Promise<BenchTable> {
  const { hello } = await benchFlows();
  const fromDeploy = performance.now();
  const deployment = await deploy(bed, hello);
  const deployMs = performance.now() - fromDeploy;
  const latencies: number[] = [];
  await withAgent(bed, deployment, 1, async () => {
    for (let round = 0; round < (quick ? 30 : 300); round += 1) {
      latencies.push(await firstLine(bed, deployment));
      await sleep(5);
    }
  });
  const [cold, ...warm] = latencies;
  const limit = 4 * bare.httpMs + bare.hopMs;
  const p50 = percentile(warm, 50);
  const p99 = percentile(warm, 99);
  const row = (what: string, ms: number, goal: number): BenchRow => ({
    what,
    figure: millis(ms),
    bare: `${millis(limit)} 4 round trips + hop`,
    ratio: (ms / limit).toFixed(2),
    goal: `≤ ${goal} ms`,
    reached: ms <= goal,
  });
  return {
    title: "Create to the first line of user code",
    rows: [
      row("idle agent, p50", p50, 5),
      row("idle agent, p99", p99, 20),
      { what: "cold start (new thread)", figure: millis(cold!), bare: "", ratio: "", goal: "" },
      { what: "deploy", figure: millis(deployMs), bare: "", ratio: "", goal: "" },
    ],
    note: "Create, the wake-up by subscription, the claim, and the acceptance of Running come one after the other.",
  };
}

async function firstLine(bed: Bed, deployment: Deployment): Promise<number> {
  const from = process.hrtime.bigint();
  const flowRunId = await bed.cloud.createFlowRun({ flowId: deployment.flowId });
  for (;;) {
    const { task_run } = await bed.cloud.query<{
      task_run: { serialized_state: { _result?: { location: string } } }[];
    }>(
      `query ($run: UUID) { task_run(where: { flow_run_id: { _eq: $run }, state: { _eq: "Success" } }) { serialized_state } }`,
      { run: flowRunId },
    );
    const location = task_run[0]?.serialized_state._result?.location;
    if (location) return Number(BigInt(JSON.parse(location) as string) - from) / 1e6;
    await sleep(10);
  }
}

/** What a host app notices: memory of a thread that stands idle, and its event loop while four flows burn CPU. */
export async function benchHost(bed: Bed, quick: boolean): Promise<BenchTable> {
  const { burner } = await benchFlows();
  const deployment = await deploy(bed, burner);
  const threads = 4;
  const burnMs = quick ? 1_000 : 5_000;
  const delay = monitorEventLoopDelay({ resolution: 1 });
  const before = process.memoryUsage.rss();
  let idleMb = 0;
  await withAgent(bed, deployment, threads, async () => {
    await createRuns(bed, deployment, threads, { ms: 500 });
    await finished(bed, deployment.flowId, threads, 50);
    idleMb = (process.memoryUsage.rss() - before) / threads / 2 ** 20;
    await createRuns(bed, deployment, threads, { ms: burnMs });
    delay.enable();
    await sleep(burnMs);
    delay.disable();
    await finished(bed, deployment.flowId, threads * 2, 50);
  });
  // The histogram's own timer fires every millisecond: what is above that is delay.
  const p99 = delay.percentile(99) / 1e6 - 1;
  return {
    title: "What the host process notices",
    rows: [
      {
        what: "memory per idle thread",
        figure: `${idleMb.toFixed(1)} MB`,
        bare: "12.6 MB bare thread",
        ratio: (idleMb / 12.6).toFixed(2),
        goal: "",
      },
      {
        what: `event loop, ${threads} flows burn CPU, p99`,
        figure: millis(p99),
        bare: "",
        ratio: "",
        goal: "≤ 10 ms",
        reached: p99 <= 10,
      },
      {
        what: `event loop, ${threads} flows burn CPU, worst`,
        figure: millis(delay.max / 1e6 - 1),
        bare: "",
        ratio: "",
        goal: "",
      },
    ],
    note: "Flow code runs in threads; the main thread shares the processors with them and nothing else.",
  };
}
