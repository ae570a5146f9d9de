import t from "tap";
import { taskContext } from "../../src/core/context.js";
import { applyMap } from "../../src/core/control/apply-map.js";
import { approval } from "../../src/core/control/approval.js";
import { pick } from "../../src/core/control/pick.js";
import { runFlow } from "../../src/core/control/run-flow.js";
import type { SubflowCall, SubflowPort } from "../../src/core/control/subflow.js";
import { MillraceError } from "../../src/core/errors.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import { hashFlowSpec, toFlowSpec } from "../../src/core/flow-spec.js";
import { parameter } from "../../src/core/parameter.js";
import { makeState, type State } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import { runFlow as runEngine } from "../../src/engine/flow-runner.js";
import { localPorts } from "../../src/engine/local/local-ports.js";
import type { EnginePorts, KnownTaskRun } from "../../src/engine/ports.js";
import { flow } from "../../src/flow.js";
import { testFlow } from "../../src/testing/index.js";
import { eventually } from "../helpers/eventually.js";
import { define, knownAfter, MemoryResults, Recorder } from "./bed.js";

const seen: unknown[] = [];
const note = task("note", (value: unknown) => void seen.push(value));
const child = flow("child", () => {
  note(parameter("value", { default: "none" as unknown }));
});
const failing = flow("failing", () => {
  task("breaks", () => {
    throw new Error("no luck");
  })();
});
const word = task("word", () => "a word");

t.test("a flow that the code holds is run in the same process, and its state is passed on", async (t) => {
  const run = await testFlow(
    flow("parent", () => {
      const made = runFlow({ flow: child, parameters: { value: { list: [word(), 1] } } });
      return [pick(made, "state"), pick(made, "flowName")];
    }),
  );
  t.same(run.output, ["Success", "child"]);
  t.same(seen.splice(0), [{ list: ["a word", 1] }]);
  const failed = await testFlow(flow("parent", () => runFlow({ flow: failing })));
  t.match(failed.states("run failing-1").at(-1), {
    type: "Failed",
    message: /Flow run [-0-9a-f]{36} of flow "failing" ended Failed: Some reference tasks failed\./,
    context: { error: { code: "SUBFLOW_FAILED" } },
  });
});

t.test("a subflow waits by its parent's clock, and asks whom its parent asks", async (t) => {
  let tries = 0;
  const later = task("later", { retries: 1, retryDelayMs: 86_400_000 }, () => {
    tries += 1;
    if (tries === 1) throw new Error("not yet");
  });
  const waits = flow("waits", () => approval("may I").after(later()));
  const parent = flow("parent", () => pick(runFlow({ flow: waits }), "state"));
  const asked: string[] = [];
  const onPause = ({ name }: { name: string }) => {
    asked.push(name);
    return { input: 1 };
  };
  const run = await testFlow(parent, { onPause });
  t.equal(run.output, "Success");
  t.same(asked, ["may I"]);
  t.ok(run.elapsedMs >= 86_400_000);
  const log = () => {};
  t.equal((await parent.run({}, { onPause, log })).output, "Success", "flow.run() asks as well");
  t.match((await testFlow(parent)).states("run waits-1").at(-1), {
    type: "Failed",
    message: /Flow run [-0-9a-f]{36} of flow "waits" waits for somebody, and nobody is here/,
    context: { error: { code: "SUBFLOW_FAILED" } },
  });
});

t.test("a run that is not waited for has no state", async (t) => {
  const run = await testFlow(flow("parent", () => runFlow({ flow: child, wait: false })));
  t.match(run.output, { flowName: "child", state: null });
  await eventually(() => seen.length === 1);
  seen.splice(0);
});

t.test("a name alone needs a Cloud; parameters must be plain JSON", async (t) => {
  const named = await testFlow(flow("parent", () => runFlow({ flow: "child" })));
  t.match(named.states("run child-1").at(-1)?.context, { error: { code: "FLOW_NOT_HERE" } });
  const date = task("date", () => new Date());
  const odd = await testFlow(flow("parent", () => runFlow({ flow: child, parameters: { at: date() } })));
  t.match(odd.states("run child-1").at(-1)?.context, { error: { code: "VALUE_NOT_SERIALIZABLE" } });
  t.throws(() => flow("parent", () => runFlow({ flow: " " })), { code: "TASK_ARGUMENT_INVALID" });
  t.throws(() => flow("parent", () => runFlow({ flow: child }, { retries: -1 })), { code: "TASK_OPTIONS_INVALID" });
});

/** A Cloud's side of the port: runs by key, and what becomes of them. */
class Runs implements SubflowPort {
  readonly calls: SubflowCall[] = [];
  readonly byKey = new Map<string, string>();
  readonly ends = new Map<string, State>();
  readonly cancelled: string[] = [];
  readonly #endOf: (count: number) => State | undefined;

  constructor(endOf: (count: number) => State | undefined) {
    this.#endOf = endOf;
  }

  async create(call: SubflowCall): Promise<string> {
    this.calls.push(call);
    const known = this.byKey.get(call.idempotencyKey);
    if (known) return known;
    const id = `run ${this.byKey.size + 1}`;
    this.byKey.set(call.idempotencyKey, id);
    const end = this.#endOf(this.byKey.size);
    if (end) this.ends.set(id, end);
    return id;
  }

  async end(flowRunId: string, waitMs: number): Promise<State | null> {
    // As a long poll: an answer comes when there is one, or late.
    if (waitMs > 0) await new Promise((resolve) => setImmediate(resolve));
    return this.ends.get(flowRunId) ?? null;
  }

  async cancel(flowRunId: string): Promise<void> {
    this.cancelled.push(flowRunId);
  }
}

function runWith(
  subflows: SubflowPort,
  definition: FlowDefinition,
  more: { signal?: AbortSignal; taskRuns?: readonly KnownTaskRun[] } = {},
) {
  const recorder = new Recorder();
  const local = localPorts(more.signal ? { signal: more.signal } : {});
  const ports: EnginePorts = { ...local, reporter: recorder, results: new MemoryResults(), subflows };
  const run = {
    flowRunId: "flow run",
    flowRunName: "parent run",
    flowId: "flow",
    parameters: {},
    scheduledStartAt: "2026-01-01T00:00:00.000Z",
    taskRuns: more.taskRuns ?? [],
  };
  return { recorder, outcome: runEngine(definition, run, ports) };
}

const success = makeState("Success", "All reference tasks succeeded.");
const failure = makeState("Failed", "Some reference tasks failed.");
const parent = (retries = 0) => define(() => runFlow({ flow: "child", project: "Sales", labels: ["a"] }, { retries }));

t.test("the run is asked for under the task run's id, with this run's name and the flow's", async (t) => {
  const runs = new Runs(() => success);
  const { recorder, outcome } = runWith(runs, parent());
  t.equal((await outcome).state.type, "Success");
  t.same(runs.calls, [
    {
      flowName: "child",
      definition: undefined,
      project: "Sales",
      labels: ["a"],
      parameters: {},
      runName: "parent run-child",
      idempotencyKey: recorder.of("run child-1")[0]!.taskRunId,
    },
  ]);
});

t.test("a retry makes another run in place of one that failed; without retries there is one", async (t) => {
  const runs = new Runs((count) => (count === 3 ? success : failure));
  const { recorder, outcome } = runWith(runs, parent(2));
  t.equal((await outcome).state.type, "Success");
  const key = recorder.of("run child-1")[0]!.taskRunId;
  t.same([...runs.byKey.keys()], [key, `${key}/2`, `${key}/3`]);
  const once = new Runs(() => failure);
  t.equal((await runWith(once, parent()).outcome).state.type, "Failed");
  t.equal(once.byKey.size, 1);
});

t.test("a run that is taken up elsewhere finds the flow run that was made, whatever became of it", async (t) => {
  for (const [end, expected] of [
    [success, "Success"],
    [failure, "Failed"],
  ] as const) {
    const stop = new AbortController();
    const runs = new Runs(() => undefined);
    const first = runWith(runs, parent(), { signal: stop.signal });
    await eventually(() => runs.byKey.size === 1);
    stop.abort(new MillraceError("RUN_LEASE_LOST", "Another agent has it."));
    await t.rejects(first.outcome, { code: "RUN_LEASE_LOST" });
    t.same(runs.cancelled, [], "it goes on elsewhere");
    runs.ends.set("run 1", end);
    const second = runWith(runs, parent(), { taskRuns: knownAfter(first.recorder.reports) });
    t.equal((await second.outcome).state.type, expected);
    t.equal(runs.byKey.size, 1);
  }
});

t.test("a cancelled parent cancels its flow run; so does a timeout", async (t) => {
  const stop = new AbortController();
  const runs = new Runs(() => undefined);
  const { outcome } = runWith(runs, parent(), { signal: stop.signal });
  await eventually(() => runs.byKey.size === 1);
  stop.abort();
  t.equal((await outcome).state.type, "Cancelled");
  t.same(runs.cancelled, ["run 1"]);

  const slow = new Runs(() => undefined);
  const timed = define(() => runFlow({ flow: "child" }, { timeoutMs: 20 }));
  t.equal((await runWith(slow, timed).outcome).state.type, "Failed");
  await eventually(() => slow.cancelled.length === 1);
});

t.test("a flow run that was cancelled by itself fails its task", async (t) => {
  const runs = new Runs(() => makeState("Cancelled", "The flow run was cancelled."));
  const { recorder, outcome } = runWith(runs, parent());
  t.equal((await outcome).state.type, "Failed");
  t.match(recorder.of("run child-1").at(-1)?.state.message, /ended Cancelled: The flow run was cancelled\./);
});

t.test("a parent without a Cloud cancels the flows that it runs itself", async (t) => {
  let aborted = false;
  const waiting = flow("waiting", () => {
    task("waits", async () => {
      const { signal } = taskContext();
      await new Promise((_, reject) => {
        signal.addEventListener("abort", () => {
          aborted = true;
          reject(signal.reason);
        });
        stop.abort();
      });
    })();
  });
  const stop = new AbortController();
  const run = await testFlow(
    flow("parent", () => runFlow({ flow: waiting })),
    { signal: stop.signal },
  );
  t.equal(run.state.type, "Cancelled");
  await eventually(() => aborted);
});

t.test("mapped over, each child has a run of its own", async (t) => {
  const runs = new Runs(() => success);
  const mapped = define(() => applyMap((value) => runFlow({ flow: "child", parameters: { value } }), ["a", "b"]));
  t.equal((await runWith(runs, mapped).outcome).state.type, "Success");
  t.same(
    runs.calls.map((each) => [each.parameters, each.runName]),
    [
      [{ value: "a" }, "parent run-child[0]"],
      [{ value: "b" }, "parent run-child[1]"],
    ],
  );
  t.equal(runs.byKey.size, 2);
});

t.test("the flow to run is part of what makes a flow the same", async (t) => {
  const hash = (call: Parameters<typeof runFlow>[0]) => hashFlowSpec(toFlowSpec(define(() => runFlow(call))));
  t.equal(hash({ flow: child }), hash({ flow: "child" }));
  t.not(hash({ flow: "child" }), hash({ flow: "child", project: "Sales" }));
  t.not(hash({ flow: "child" }), hash({ flow: "child", parameters: { day: 1 } }));
});
