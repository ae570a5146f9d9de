import { rm } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { buildFlow } from "../../src/core/building.js";
import type { ResultOptions } from "../../src/core/options/result-options.js";
import { results } from "../../src/core/options/results.js";
import { parameter } from "../../src/core/parameter.js";
import type { State } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { runFlow } from "../../src/engine/flow-runner.js";
import { localPorts } from "../../src/engine/local/local-ports.js";
import type { EngineOutcome } from "../../src/engine/ports.js";
import { resultStore } from "../../src/storage/results.js";
import { temporaryHome } from "../helpers/home.js";
import { startS3Server } from "../helpers/s3-server.js";
import { knownAfter, Recorder } from "./bed.js";

const home = await temporaryHome(t);
const s3 = await startS3Server();
t.teardown(() => s3.close());
s3.buckets.set("box", new Map());
Object.assign(process.env, { AWS_ACCESS_KEY_ID: "TESTKEY", AWS_SECRET_ACCESS_KEY: "testsecret" });
const inBucket = results.s3({ bucket: "box", endpoint: s3.url, region: "us-east-1" });

interface Machine {
  recorder: Recorder;
  outcome: EngineOutcome;
}

const rows = { at: new Date(0), list: new Map([["a", "x".repeat(10_000)]]) };

/** Runs the flow as an agent on some machine does, on from what the Cloud knows; a machine has a disk of its own. */
async function onMachine(result: ResultOptions | undefined, fails: boolean, before?: Recorder): Promise<Machine> {
  const make = task("make", (_day: string) => rows);
  const use = task("use", (value: typeof rows) => {
    if (fails) throw new Error("the power went");
    return value.list.get("a")!.length + value.at.getTime();
  });
  const build = () => use(make(parameter<string>("day", { default: "y".repeat(9_000) })));
  const flow = buildFlow("resumed", result ? { result } : {}, build, undefined);
  const recorder = new Recorder({});
  const known = knownAfter(before?.reports ?? []).filter(({ state }) => state?.type === "Success");
  const outcome = await runFlow(
    flow,
    {
      flowRunId: "flow-run",
      flowRunName: "a run",
      flowId: "flow",
      parameters: {},
      scheduledStartAt: "2026-01-01T00:00:00.000Z",
      // As they come from the Cloud.
      taskRuns: JSON.parse(JSON.stringify(known)) as typeof known,
    },
    { ...localPorts(), reporter: recorder, results: resultStore() },
  );
  return { recorder, outcome };
}

const last = ({ recorder }: Machine, name: string): State | undefined => recorder.of(name).at(-1)?.state;

t.test("results in a bucket are read by whatever machine takes the run up", async (t) => {
  const first = await onMachine(inBucket, true);
  t.match(last(first, "make-1")?.result, { type: "S3Result", bucket: "box", endpoint: s3.url });
  await rm(join(home, "results"), { recursive: true, force: true });
  const second = await onMachine(inBucket, false, first.recorder);
  t.same(second.recorder.of("make-1"), [], "it did not run again");
  t.equal(second.outcome.output, 10_000);
});

t.test("results on a disk are missed on another machine, with the name of the one that has them", async (t) => {
  const first = await onMachine(undefined, true);
  t.equal(last(first, "make-1")?.result?.type, "LocalResult");
  const again = await onMachine(undefined, false, first.recorder);
  t.equal(again.outcome.output, 10_000, "on the same machine it goes on");
  await rm(join(home, "results"), { recursive: true });
  for (const { state } of first.recorder.of("make-1")) if (state.result) state.result.host = "host-of-the-first-run";
  const elsewhere = await onMachine(undefined, false, first.recorder);
  t.match(last(elsewhere, "use-1"), {
    type: "Failed",
    message: /^Failed to retrieve task results: .*ENOENT/,
    context: { error: { code: "RESULT_NOT_FOUND", hint: /"host-of-the-first-run"/ } },
  });
});
