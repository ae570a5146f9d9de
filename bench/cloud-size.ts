import { openCloud } from "../src/client/cloud-client.js";
import { createRun, openVisit, questions, type Visit } from "./cloud-visits.js";
import { fillCloud } from "./fill-cloud.js";
import { kinds, makePlace, type Place, startCloud } from "./places.js";
import { type BenchRow, type BenchTable, median, micros } from "./table.js";

interface Filled {
  visit: Visit;
  fillMs: number;
  close(): Promise<void>;
}

/** Rounds that are not counted: the first eight calls go over HTTP, and statements are made at the first. */
const WARM = 10;
/** Runs to claim beside those that wait in the filling: a small one has some ten. */
const WAITING = 40;

/**
 * What is asked of a Cloud all day, of one with 10,000 task runs and of one with a million (`quick`: 100,000), in turns: each
 * answer of the larger must come within twice the time of the smaller's.
 */
export async function benchCloudSize(quick: boolean): Promise<BenchTable[]> {
  const sizes = [10_000, quick ? 100_000 : 1_000_000] as const;
  const tables: BenchTable[] = [];
  for (const kind of kinds()) tables.push(await benchKind(kind, sizes, quick ? 30 : 100));
  return tables;
}

async function benchKind(kind: Place["kind"], [few, many]: readonly [number, number], rounds: number) {
  const small = await openFilled(kind, few);
  try {
    const large = await openFilled(kind, many);
    try {
      const rows: BenchRow[] = [];
      for (const { what, ask } of questions) {
        const spans: { small: number[]; large: number[] } = { small: [], large: [] };
        for (let round = 0; round < rounds + WARM; round += 1) {
          const took = { small: await ask(small.visit), large: await ask(large.visit) };
          if (round < WARM) continue;
          spans.small.push(took.small);
          spans.large.push(took.large);
        }
        rows.push(toRow(what, median(spans.small), median(spans.large)));
      }
      const count = (number: number) => number.toLocaleString("en");
      return {
        title: `A Cloud of ${count(many)} task runs beside one of ${count(few)}, ${kind}`,
        rows,
        note: `Medians of ${rounds} in turns, one call at a time. In the place of the bare limit: the smaller one. Filled in ${Math.round(large.fillMs / 1000)} s.`,
      };
    } finally {
      await large.close();
    }
  } finally {
    await small.close();
  }
}

function toRow(what: string, smallMs: number, largeMs: number): BenchRow {
  const ratio = largeMs / smallMs;
  return {
    what,
    figure: micros(largeMs),
    bare: micros(smallMs),
    ratio: ratio.toFixed(2),
    goal: "≤ 2",
    reached: ratio <= 2,
  };
}

async function openFilled(kind: Place["kind"], taskRuns: number): Promise<Filled> {
  const place = await makePlace(kind);
  try {
    const from = performance.now();
    const filling = await fillCloud(place.url, taskRuns);
    const fillMs = performance.now() - from;
    const server = await startCloud(place);
    const cloud = openCloud({ url: server.url, token: filling.token });
    const close = async () => {
      await cloud.close();
      await server.stop();
      await place.drop();
    };
    const visit = await openVisit(cloud, filling);
    for (let run = 0; run < WAITING; run += 1) await createRun(visit);
    return { visit, fillMs, close };
  } catch (error) {
    await place.drop();
    throw error;
  }
}
