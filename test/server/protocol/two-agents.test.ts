import t from "tap";
import { eventually } from "../../helpers/eventually.js";
import { brokenInvariants } from "../../helpers/invariants.js";
import {
  historyOf,
  PrefectClient,
  type PrefectState,
  prefectState,
  type RunInfo,
  success,
} from "../../helpers/prefect-client.js";
import { deployFlow, Refusal, startTestCloud } from "../../helpers/server.js";

/*
 * The whole way of a flow run as Prefect's agent and its processes go it: poll, metadata, Submitted, a process that loads the
 * run, sets it Running, takes its tasks one by one, and one that goes on with it after a retry. Two agents with the same labels
 * do so at once for the same runs.
 */

const LABELS = ["quay"];
const CHILDREN = 3;
/** In the order in which a runner takes them. */
const TASKS = ["region", "list-1", "weigh-1", "sum-1", "audit-1", "tell-1", "close-1"];
const FINISHED = new Set(["Success", "Mapped", "Failed"]);

/** An agent and the processes it starts. */
class Agent {
  readonly client: PrefectClient;
  /** Runs that the other agent was quicker with. */
  lost = 0;
  readonly errors: unknown[] = [];
  readonly #processes = new Map<string, Promise<void>>();
  readonly #makeClient: () => PrefectClient;

  constructor(makeClient: () => PrefectClient) {
    this.#makeClient = makeClient;
    this.client = makeClient();
  }

  async start(name: string): Promise<void> {
    await this.client.query("tenant", "tenant { id }");
    await this.client.register(name, LABELS);
    await this.client.query("hello", "hello");
  }

  /** One look into the queue. */
  async poll(): Promise<void> {
    for (const id of await this.client.queue(LABELS)) {
      if (this.#processes.has(id)) continue;
      try {
        if (!(await this.#submit(id))) {
          this.lost += 1;
          continue;
        }
      } catch (error) {
        if (!(error instanceof Refusal) || !error.message.includes("State update failed")) this.errors.push(error);
        this.lost += 1;
        continue;
      }
      const process = execute(this.#makeClient(), id).catch((error: unknown) => void this.errors.push(error));
      this.#processes.set(
        id,
        process.finally(() => this.#processes.delete(id)),
      );
    }
  }

  /** False: the other agent was quicker. @throws Refusal when both were as quick */
  async #submit(id: string): Promise<boolean> {
    const due = `state_start_time: { _lte: "${new Date().toISOString().replace("Z", "+00:00")}" }`;
    const [run] = await this.client.query<(RunInfo & { state: string })[]>(
      "flow_run",
      `flow_run(where: { id: { _in: ["${id}"] }, _or: [{ state: { _eq: "Scheduled" } }, { state: { _eq: "Running" }, task_runs: { ${due} } }] }) {
        id version state serialized_state parameters scheduled_start_time run_config name
        flow { id name environment storage version core_version } task_runs(where: { ${due} }) { id version task_id serialized_state } }`,
    );
    if (!run) return false;
    const submitted = (state: PrefectState) => prefectState("Submitted", "Submitted for execution", { state });
    if (run.state === "Scheduled") await this.client.setFlowRun(id, run.version, submitted(run.serialized_state));
    for (const each of run.task_runs) {
      await this.client.setTaskRun(each.id, each.version, submitted(each.serialized_state));
    }
    const line = { flow_run_id: id, name: "agent", message: "Submitted for execution: PID: 1", level: "INFO" };
    await this.client.mutate("write_run_logs", { logs: [line] }, "{ success }");
    return true;
  }

  async idle(): Promise<void> {
    await Promise.all(this.#processes.values());
  }
}

/** `prefect execute flow-run`: takes the tasks that are left, and stops where one must wait. */
async function execute(client: PrefectClient, runId: string): Promise<void> {
  const where = `where: { id: { _eq: "${runId}" } }`;
  const [loaded] = await client.query<{ flow: { storage: object } }[]>(
    "flow_run",
    `flow_run(${where}) { flow { name storage run_config } version }`,
  );
  if (!loaded?.flow.storage) throw new Error("The run has no storage to load its flow from.");
  const run = await client.runInfo(runId);
  if (run.serialized_state.type !== "Running") {
    await client.setFlowRun(runId, run.version, prefectState("Running", "Running flow."));
  }
  await client.heartbeat(runId);
  await client.query("flow_run_by_pk", `flow_run_by_pk(id: "${runId}") { flow { settings } }`);
  for (const slug of TASKS) {
    const known = run.task_runs.find(({ task }) => task.slug === slug)!;
    if (FINISHED.has(known.serialized_state.type)) continue;
    if ((await runTask(client, run, slug)) === "waits") return;
  }
  await client.runInfo(runId);
  await client.setFlowRun(runId, null, prefectState("Success", "All reference tasks succeeded."));
  const line = {
    flow_run_id: runId,
    task_run_id: null,
    name: "prefect.CloudFlowRunner",
    level: "INFO",
    message: "done",
  };
  await client.mutate("write_run_logs", { logs: [line] }, "{ success }");
}

async function runTask(client: PrefectClient, run: RunInfo, slug: string): Promise<"finished" | "waits"> {
  const taskId = run.task_runs.find(({ task }) => task.slug === slug)!.task.id;
  const info = await client.taskInfo(run.id, taskId);
  const set = async (id: string, version: number | null, state: PrefectState) => {
    const { status } = await client.setTaskRun(id, version, state);
    if (status !== "SUCCESS") throw new Error(`${slug} was answered ${status}.`);
  };
  if (slug === "weigh-1") {
    await set(info.id, null, prefectState("Mapped", "Ready to proceed with mapping.", { n_map_states: CHILDREN }));
    const children = Array.from({ length: CHILDREN }, async (_, index) => {
      const child = await client.taskInfo(run.id, taskId, index);
      await set(child.id, child.version, prefectState("Running", "Starting task run."));
      await set(child.id, null, success(`${index}`));
    });
    await Promise.all(children);
    return "finished";
  }
  // The state of a retry, under the Submitted that an agent put around it.
  const before = (info.serialized_state.state ?? info.serialized_state) as PrefectState;
  await set(info.id, info.version, prefectState("Running", "Starting task run."));
  if (slug === "sum-1" && before.type !== "Retrying") {
    await set(info.id, null, prefectState("Failed", "Error during execution of task: ValueError()"));
    const start_time = new Date().toISOString().replace("Z", "+00:00");
    await set(
      info.id,
      null,
      prefectState("Retrying", "Retrying Task (after attempt 1 of 2)", { start_time, run_count: 1 }),
    );
    return "waits";
  }
  await set(info.id, null, success());
  return "finished";
}

t.test("two agents run every flow run once, to its end, with a map and a retry in each", async (t) => {
  const cloud = await startTestCloud(t);
  const edges = TASKS.slice(1).map((slug, index) => [TASKS[index]!, slug] as [string, string]);
  const { flowId } = await deployFlow(cloud, { name: "tides", tasks: TASKS, edges, labels: LABELS, ours: false });
  const clients: PrefectClient[] = [];
  const makeClient = () => {
    const client = new PrefectClient(cloud);
    clients.push(client);
    return client;
  };
  const agents = [new Agent(makeClient), new Agent(makeClient)];
  await Promise.all(agents.map((agent, n) => agent.start(`crane-${n}`)));
  const runs: string[] = [];
  for (let n = 0; n < 6; n++) runs.push((await cloud.call("create_flow_run", { flow_id: flowId })).id);

  await eventually(
    async () => {
      await Promise.all(agents.map((agent) => agent.poll()));
      const [{ open } = { open: 1 }] = await cloud.rows<{ open: number }>(
        "SELECT count(*) AS open FROM flow_run WHERE state <> 'Success'",
      );
      return open === 0;
    },
    { timeoutMs: 30_000, everyMs: 20 },
  );
  await Promise.all(agents.map((agent) => agent.idle()));

  t.same(
    agents.flatMap((agent) => agent.errors),
    [],
    "no request got an answer that the client does not expect",
  );
  const simple = ["1 Pending: Task run created", "2 Running: Starting task run.", "3 Success: Task run succeeded."];
  for (const id of runs) {
    const history = await historyOf(cloud, id);
    t.equal(Object.keys(history).length, 1 + TASKS.length + CHILDREN);
    for (const key of ["region -1", "list-1 -1", "audit-1 -1", "tell-1 -1", "close-1 -1", "weigh-1 0", "weigh-1 2"]) {
      t.same(history[key], simple, key);
    }
    t.match(history["flow run"], [/^1 Scheduled/, /^2 Submitted/, /^3 Running/, /^4 Success/]);
    t.same(
      history["sum-1 -1"]!.map((state) => state.split(/[ :]/)[1]),
      ["Pending", "Running", "Failed", "Retrying", "Submitted", "Running", "Success"],
    );
    t.same(
      history["weigh-1 -1"]!.map((state) => state.split(/[ :]/)[1]),
      ["Pending", "Mapped"],
    );
  }
  const logs = await cloud.rows<{ name: string; lines: number }>(
    "SELECT name, count(*) AS lines FROM log GROUP BY name ORDER BY name",
  );
  t.same(logs, [
    { name: "agent", lines: 12 },
    { name: "prefect.CloudFlowRunner", lines: 6 },
  ]);
  t.same(await brokenInvariants(cloud), []);
  const requests = clients.reduce((sum, client) => sum + client.sent.length, 0);
  t.ok(
    requests > runs.length * 40,
    `${requests} requests, and ${agents.map((agent) => agent.lost)} runs lost to the other`,
  );
});
