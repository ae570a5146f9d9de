import type { ClaimedRun, Cloud } from "../src/client/cloud.js";
import { openCloud } from "../src/client/cloud-client.js";
import { newId } from "../src/core/ids.js";
import { bareCommits, CONNECTIONS } from "./bare-writes.js";
import { fillCloud } from "./fill-cloud.js";
import { kinds, makePlace, type Place, startCloud } from "./places.js";
import { type BenchRow, type BenchTable, perSecond } from "./table.js";

/** An agent that reports, with runs of its own. */
interface Reporter {
  cloud: Cloud;
  agentId: string;
  runs: ClaimedRun[];
  batch: number;
  /** Calls of `report` so far: each moves the next task runs on. */
  place: number;
}

const LEASE_MS = 600_000;
/** States in one report: what an agent with many threads or a map gathers while a report is under way. */
const BATCHED = 100;
const RUNS = 25;
const TASKS = 8;
const FILLED = 10_000;

/**
 * State writes a second over HTTP, one a report and a hundred a report, beside the database's own bare commit rate: what it
 * commits when each state is written and committed by itself, see bare-writes.ts.
 */
export async function benchStateWrites(quick: boolean): Promise<BenchTable[]> {
  const tables: BenchTable[] = [];
  for (const kind of kinds()) tables.push(await benchKind(kind, quick ? 1_000 : 4_000));
  return tables;
}

async function benchKind(kind: Place["kind"], measuredMs: number): Promise<BenchTable> {
  const bare = await withPlace(kind, bareCommits);
  const rates = await withPlace(kind, async (place) => {
    const { token, flows } = await fillCloud(place.url, FILLED);
    const server = await startCloud(place);
    const open = () => openReporter({ url: server.url, token }, flows[0]!.id);
    const reporters = [await open(), await open(), await open(), await open()];
    try {
      return {
        single: await statesPerSecond(reporters.slice(0, 1), 1, measuredMs),
        singleByFour: await statesPerSecond(reporters, 1, measuredMs),
        batched: await statesPerSecond(reporters.slice(0, 1), BATCHED, measuredMs),
        batchedByFour: await statesPerSecond(reporters, BATCHED, measuredMs),
      };
    } finally {
      await Promise.all(reporters.map(({ cloud }) => cloud.close()));
      await server.stop();
    }
  });
  const best = kind === "SQLite" ? bare.one : Math.max(bare.one, bare.many);
  const row = (what: string, rate: number, goal?: number): BenchRow => ({
    what,
    figure: perSecond(rate),
    bare: `${perSecond(best)} bare commits`,
    ratio: `${Math.round((rate / best) * 100)} %`,
    goal: goal === undefined ? "" : `≥ ${goal} %`,
    ...(goal === undefined ? {} : { reached: rate / best >= goal / 100 }),
  });
  const own = kind === "SQLite" ? "one writer" : `${perSecond(bare.one)} on one connection, ${CONNECTIONS} here`;
  return {
    title: `States written over HTTP, ${kind}`,
    rows: [
      row("one a report, 1 agent", rates.single),
      row("one a report, 4 agents", rates.singleByFour),
      row(`${BATCHED} a report, 1 agent`, rates.batched, 50),
      row(`${BATCHED} a report, 4 agents`, rates.batchedByFour, 50),
    ],
    note: `A bare commit writes the rows of one state and nothing else, without a server (${own}). Here a state is sent, judged, written and answered.`,
  };
}

async function withPlace<T>(kind: Place["kind"], work: (place: Place) => Promise<T>): Promise<T> {
  const place = await makePlace(kind);
  try {
    return await work(place);
  } finally {
    await place.drop();
  }
}

async function openReporter(address: { url: string; token: string }, flowId: string): Promise<Reporter> {
  const cloud = openCloud(address);
  const name = `reporter ${newId()}`;
  const agentId = await cloud.registerAgent({ type: "LocalAgent", name, labels: ["bench"] });
  for (let run = 0; run < RUNS; run += 1) await cloud.createFlowRun({ flowId });
  const { runs } = await cloud.claimRuns({ agentId, labels: ["bench"], limit: RUNS, leaseMs: LEASE_MS });
  const reporter: Reporter = { cloud, agentId, runs, batch: 0, place: 0 };
  await send(
    reporter,
    runs.map((run) => ({ run, states: [{ state: running(), at: new Date().toISOString() }] })),
  );
  return reporter;
}

const running = () => ({ type: "Running", message: "The run entered Running.", __version__: "1.4.1" });

type States = Parameters<Cloud["reportStates"]>[0]["runs"][number]["states"];

async function send(reporter: Reporter, parts: readonly { run: ClaimedRun; states: States }[]): Promise<void> {
  reporter.batch += 1;
  const runs = parts.map(({ run: { flowRunId, fence }, states }) => ({ flowRunId, fence, states, logs: [] }));
  const { agentId, batch, cloud } = reporter;
  const answer = await cloud.reportStates({ agentId, streamId: agentId, batch, runs });
  if (answer.refused.length > 0) throw new Error(`a report was refused: ${answer.refused[0]!.message}`);
}

/** A task's start, its wait for another try, its start again: its states may follow each other for as long as one likes. */
const CYCLE = ["Running", "Retrying"] as const;

/** The next state of so many task runs, one of each, those of a run together. */
async function report(reporter: Reporter, count: number): Promise<void> {
  const parts = new Map<ClaimedRun, States[number][]>();
  for (let index = 0; index < count; index += 1, reporter.place += 1) {
    const place = reporter.place % (RUNS * TASKS);
    const run = reporter.runs[Math.floor(place / TASKS)]!;
    const task = run.taskRuns[place % TASKS]!;
    const round = Math.floor(reporter.place / (RUNS * TASKS));
    const { taskRunId, taskSlug, mapIndex, version } = task;
    const at = new Date().toISOString();
    const type = CYCLE[round % CYCLE.length]!;
    const state = { type, message: `The run entered ${type}.`, __version__: "1.4.1", start_time: at };
    const entry = { taskRun: { taskRunId, taskSlug, mapIndex, version: version + round }, state, at };
    const known = parts.get(run);
    if (known) known.push(entry);
    else parts.set(run, [entry]);
  }
  await send(
    reporter,
    [...parts].map(([run, states]) => ({ run, states })),
  );
}

/** Each agent sends its next report when the one before was answered, over two connections' worth of streams at most. */
async function statesPerSecond(reporters: readonly Reporter[], count: number, measuredMs: number): Promise<number> {
  const work = async (reporter: Reporter, until: number) => {
    let reports = 0;
    for (; performance.now() < until; reports += 1) await report(reporter, count);
    return reports;
  };
  const warmUntil = performance.now() + measuredMs / 4;
  await Promise.all(reporters.map((reporter) => work(reporter, warmUntil)));
  const from = performance.now();
  const reports = await Promise.all(reporters.map((reporter) => work(reporter, from + measuredMs)));
  const sum = reports.reduce((total, each) => total + each, 0);
  return (sum * count * 1_000) / (performance.now() - from);
}
