import t from "tap";
import { makeState } from "../../src/core/state.js";
import type { EngineOutcome, KnownTaskRun } from "../../src/engine/ports.js";
import { FakeClock, finish, knownAfter, MemoryResults, nameOf, type Recorded, start } from "./bed.js";
import { type Expected, expectedEnds, expectedFlowEnd } from "./model.js";
import { type RandomTask, randomTasks, seeded, slugOf, toFlow } from "./random-flow.js";

const FLOWS = 1_000;
const CUT_FLOWS = 300;

/** Some of the tasks without upstreams stand Skipped before the run, so that skips are met too. */
function presets(
  specs: readonly RandomTask[],
  random: () => number,
): { skipped: Set<number>; taskRuns: KnownTaskRun[] } {
  const roots = specs.filter((spec) => spec.args.length === 0 && spec.after.length === 0 && random() < 0.15);
  const taskRuns = roots.map(({ index }) => {
    return {
      taskRunId: `preset ${index}`,
      taskSlug: slugOf(index),
      mapIndex: -1,
      version: 1,
      state: makeState("Skipped", null),
    };
  });
  return { skipped: new Set(roots.map((each) => each.index)), taskRuns };
}

const everyOne = (ends: readonly Expected[]) => ends.flatMap((each) => [each, ...(each.children ?? [])]);

function statesOf(outcome: EngineOutcome): Record<string, string> {
  return Object.fromEntries(outcome.taskRuns.map((each) => [nameOf(each), each.state.type]));
}

/** What is wrong with the order of the reports; empty when nothing is. */
function orderFaults(reports: readonly Recorded[], ends: readonly Expected[]): string[] {
  const faults: string[] = [];
  const lastAt = new Map(reports.map((each, at) => [nameOf(each), at]));
  const firstAt = new Map([...reports].reverse().map((each, at) => [nameOf(each), reports.length - 1 - at]));
  for (const { name, waitsFor } of everyOne(ends)) {
    const at = firstAt.get(name);
    for (const upstream of waitsFor) {
      if (at !== undefined && (lastAt.get(upstream) ?? -1) > at) faults.push(`${name} before the end of ${upstream}`);
    }
    const parent = name.replace(/\[\d+\]$/, "");
    if (at !== undefined && (firstAt.get(parent) ?? -1) > at) faults.push(`${name} before its parent`);
  }
  const versions = new Map<string, number>();
  for (const { taskRunId, version, taskSlug } of reports) {
    if (taskSlug === null) continue;
    const before = versions.get(taskRunId);
    if (before !== undefined && version !== before + 1) faults.push(`${taskSlug}: version ${version} after ${before}`);
    versions.set(taskRunId, version);
  }
  if (reports.at(-1)?.taskSlug !== null) faults.push("a task run after the flow run's end");
  return faults;
}

t.test(`${FLOWS} random flows end as a plain model says, in a legal order`, async (t) => {
  let tries = 0;
  const seen = new Set<string>();
  for (let seed = 1; seed <= FLOWS; seed += 1) {
    const random = seeded(seed);
    const specs = randomTasks(random, false);
    const { skipped, taskRuns } = presets(specs, random);
    const clock = new FakeClock();
    const flow = toFlow(specs, clock, () => {
      tries += 1;
    });
    const { end, recorder } = await finish(flow, { clock, taskRuns, inTurns: random() < 0.5 });
    const ends = expectedEnds(specs, skipped);
    const wanted = Object.fromEntries(everyOne(ends).map((each) => [each.name, each.type]));
    for (const type of Object.values(wanted)) seen.add(type);
    const values = Object.fromEntries(end.taskRuns.map((each) => [nameOf(each), each.value]));
    const wrongValues = everyOne(ends).filter(
      (each) => !each.children && JSON.stringify(each.value) !== JSON.stringify(values[each.name]),
    );
    const faults = orderFaults(recorder.reports, ends);
    const same = JSON.stringify(Object.entries(wanted).sort()) === JSON.stringify(Object.entries(statesOf(end)).sort());
    const ok =
      same && end.state.type === expectedFlowEnd(ends, specs) && wrongValues.length === 0 && faults.length === 0;
    if (ok) continue;
    t.same(statesOf(end), wanted, `states of seed ${seed}`);
    t.equal(end.state.type, expectedFlowEnd(ends, specs), `flow run of seed ${seed}`);
    t.same(wrongValues, [], `values of seed ${seed}`);
    t.same(faults, [], `order of seed ${seed}`);
  }
  t.ok(tries > FLOWS, `${tries} tries`);
  t.same([...seen].sort(), ["Failed", "Mapped", "Skipped", "Success", "TimedOut", "TriggerFailed"], "all were met");
});

t.test(
  `${CUT_FLOWS} random flows, cut off again and again, end the same, and run no finished task twice`,
  async (t) => {
    let agents = 0;
    for (let seed = 1; seed <= CUT_FLOWS; seed += 1) {
      const random = seeded(seed * 7_919);
      const specs = randomTasks(random, true);
      const { skipped, taskRuns } = presets(specs, random);
      const clock = new FakeClock();
      const results = new MemoryResults();
      const over = new Set<string>();
      const twice: string[] = [];
      const flow = toFlow(specs, clock, (taskSlug, mapIndex) => {
        const name = nameOf({ taskSlug, mapIndex });
        if (over.has(name)) twice.push(name);
      });
      let known: KnownTaskRun[] = taskRuns;
      let end: EngineOutcome | undefined;
      while (!end) {
        agents += 1;
        const most = 1 + Math.floor(random() * 12);
        const run = start(flow, {
          clock,
          results,
          taskRuns: known,
          inTurns: true,
          refuse: (_, count) => (count > most ? new Error("cut") : undefined),
        });
        end = await run.outcome.catch(() => undefined);
        const accepted = end ? run.recorder.reports : run.recorder.reports.slice(0, most);
        const after = knownAfter(accepted);
        known = [...known.filter((each) => !after.some((other) => other.taskRunId === each.taskRunId)), ...after];
        for (const each of known)
          if (/Success|Failed|TimedOut|Skipped/.test(each.state?.type ?? "")) over.add(nameOf(each));
      }
      const ends = expectedEnds(specs, skipped);
      const wanted = Object.fromEntries(everyOne(ends).map((each) => [each.name, each.type]));
      const same =
        JSON.stringify(Object.entries(wanted).sort()) === JSON.stringify(Object.entries(statesOf(end)).sort());
      if (!same) t.same(statesOf(end), wanted, `states of seed ${seed}`);
      if (end.state.type !== expectedFlowEnd(ends, specs)) t.fail(`flow run of seed ${seed} is ${end.state.type}`);
      if (twice.length > 0) t.same(twice, [], `seed ${seed} ran finished tasks again`);
    }
    t.ok(agents > CUT_FLOWS * 2, `${agents} agents`);
  },
);
