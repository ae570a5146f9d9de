import t from "tap";
import type { NewFlow } from "../../src/client/cloud.js";
import { toRegisteredFlow, toSerializedFlow } from "../../src/client/serialize-flow.js";
import { buildFlow } from "../../src/core/building.js";
import { hashFlowSpec, toFlowSpec } from "../../src/core/flow-spec.js";
import { type CacheValidator, cacheValidators } from "../../src/core/options/cache-validator.js";
import { parameter } from "../../src/core/parameter.js";
import { type TaskOptions, task } from "../../src/core/task.js";

const load = task("load", { retries: 2, retryDelayMs: 1_500, timeoutMs: 100, tags: ["io"] }, (day: string) => [day]);
const clean = task("clean", (row: string) => row.trim());

const spec = toFlowSpec(
  buildFlow(
    "orders",
    { description: "Orders of a day." },
    () => {
      const day = parameter<string>("day", { default: "today" });
      clean.map(load(day));
    },
    undefined,
  ),
);

const flow: NewFlow = {
  projectId: "p",
  spec,
  specHash: hashFlowSpec(spec),
  storage: { type: "Local", location: "/flows/orders/1-abc", hash: "abc" },
  labels: ["zebra", "host", "host"],
  threadOptions: { freshThread: true, maxHeapMb: 256 },
  idempotencyKey: "k",
};

/** As the Cloud gives it back: through JSON. */
const row = () => ({
  id: "f",
  flow_group_id: "g",
  name: "orders",
  version: 3,
  archived: false,
  project: { name: "Sales" },
  serialized_flow: JSON.parse(JSON.stringify(toSerializedFlow(flow))) as unknown,
});

t.test("a task says how its results are reused, in Prefect's words", async (t) => {
  const written = (options: TaskOptions) => {
    const build = () => void task("work", options, () => 1)();
    const built = toFlowSpec(buildFlow("cached", {}, build, undefined));
    const { cache_for, cache_key, cache_validator } = toSerializedFlow({ ...flow, spec: built }).tasks[0] as never;
    return { cache_for, cache_key, cache_validator };
  };
  const named = (name: string, kwargs = {}) => ({ fn: `prefect.engine.cache_validators.${name}`, kwargs });
  t.same(written({}), { cache_for: null, cache_key: null, cache_validator: named("never_use") });
  t.same(written({ cacheForMs: 90_500, cacheKey: "k" }), {
    cache_for: 91,
    cache_key: "k",
    cache_validator: named("duration_only"),
  });
  const validators: [CacheValidator, object][] = [
    [cacheValidators.allInputs, named("all_inputs")],
    [cacheValidators.partialInputsOnly([0, 2]), named("partial_inputs_only", { validate_on: ["0", "2"] })],
    [cacheValidators.partialParametersOnly([]), named("partial_parameters_only", { validate_on: [] })],
    [
      { name: "my own(x)", isValid: () => true },
      { fn: "my own(x)", kwargs: {} },
    ],
  ];
  for (const [cacheValidator, wanted] of validators)
    t.same(written({ cacheForMs: 1, cacheValidator }).cache_validator, wanted);
});

t.test("a flow is written as Prefect writes it, with what is ours under one key", async (t) => {
  const { millrace, tasks, ...serialized } = toSerializedFlow(flow);
  t.match(serialized, {
    type: "prefect.core.flow.Flow",
    name: "orders",
    description: "Orders of a day.",
    schedule: null,
    parameters: [{ slug: "day", type: "prefect.core.parameter.Parameter", default: "today", required: false }],
    storage: {
      type: "Local",
      directory: "/flows/orders",
      path: "/flows/orders/1-abc",
      flows: { orders: "/flows/orders/1-abc" },
      stored_as_script: false,
      secrets: [],
    },
    run_config: { type: "UniversalRun", labels: ["host", "zebra"], env: null },
  });
  t.same(
    tasks.map((each) => each.slug),
    ["day", "load-io-1", "clean-1"],
  );
  t.match(tasks[1], {
    name: "load",
    tags: ["io"],
    max_retries: 2,
    retry_delay: 2,
    timeout: 1,
    trigger: { fn: "prefect.triggers.all_successful" },
    mapped: false,
  });
  t.match(tasks[2], { max_retries: 0, retry_delay: null, timeout: null, mapped: true });
  t.same(serialized.edges[0], {
    upstream_task: { slug: "day" },
    downstream_task: { slug: "load-io-1" },
    key: "0",
    mapped: false,
    flattened: false,
  });
  t.equal(serialized.edges[1]?.mapped, true);
  t.same(millrace.thread_options, { fresh_thread: true, max_heap_mb: 256 });
});

t.test("a flow comes back from its row as it was deployed", async (t) => {
  t.same(toRegisteredFlow(row()), {
    flowId: "f",
    flowGroupId: "g",
    name: "orders",
    version: 3,
    projectName: "Sales",
    archived: false,
    storage: flow.storage,
    spec,
    specHash: flow.specHash,
    labels: ["host", "zebra"],
    runConfig: { type: "UniversalRun", env: null, labels: ["host", "zebra"] },
    threadOptions: flow.threadOptions,
  });
});

t.test("storage of another kind keeps its type", async (t) => {
  const storage = { type: "S3", location: "orders/abc", hash: "abc" };
  t.match(toSerializedFlow({ ...flow, storage }).storage, { type: "S3", flows: { orders: "orders/abc" } });
});

const foreign: [title: string, serialized: unknown][] = [
  ["no serialized flow", null],
  ["a Python flow", { type: "prefect.core.flow.Flow", name: "orders", tasks: [] }],
  ["a part of ours", { millrace: { spec: null } }],
];
for (const [title, serialized_flow] of foreign) {
  t.test(`a row with ${title} is named as not ours`, async (t) => {
    t.throws(() => toRegisteredFlow({ ...row(), serialized_flow }), {
      code: "CLOUD_REFUSED",
      message: /"orders".*"Sales"/,
    });
  });
}
