import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type {
  ClaimedRun,
  ClaimRunsPayload,
  Mutations,
  ReportStatesPayload,
  StateReportInput,
} from "../../src/client/wire.js";
import { newId } from "../../src/core/ids.js";
import { type Server, type ServerOptions, startServer } from "../../src/server/server.js";
import { databaseAt } from "./test-database.js";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/** A clock that stands still until it is moved. */
export class HandClock {
  #now = Date.parse("2026-11-23T10:00:00.000Z");
  #elapsed = 0;
  now = (): number => this.#now;
  elapsed = (): number => this.#elapsed;
  /** Time passes. */
  forward(ms: number): void {
    this.#now += ms;
    this.#elapsed += ms;
  }
  /** The clock is put forward or back, and no time passes. */
  step(ms: number): void {
    this.#now += ms;
  }
}

export interface WireFailure {
  message: string;
  path?: unknown;
  extensions: { code: string; hint?: string; details?: unknown };
}
export interface Reply {
  status: number;
  body: { data?: Record<string, unknown> | null; errors?: WireFailure[] };
}

/** A real Cloud on a file of its own, and how to talk to it. */
export interface TestCloud {
  readonly server: Server;
  readonly url: string;
  readonly token: string;
  readonly file: string;
  /** Lines of the server's own log. */
  readonly log: { level: string; message: string; error?: unknown }[];
  post(body: string, headers?: Record<string, string>, path?: string): Promise<Reply>;
  ask(query: string, variables?: unknown, headers?: Record<string, string>): Promise<Reply>;
  /** A mutation's payload; its selection is that of `selections`. Throws what the Cloud refused, with its code. */
  call<Name extends keyof Mutations>(
    name: Name,
    input: Mutations[Name]["arguments"]["input"],
    headers?: Record<string, string>,
  ): Promise<Mutations[Name]["payload"]>;
  /** Rows of any table, straight from the file. */
  rows<Row = Record<string, unknown>>(sql: string, ...parameters: (string | number)[]): Promise<Row[]>;
}

export class Refusal extends Error {
  readonly code: string;
  readonly failure: WireFailure;
  constructor(failure: WireFailure) {
    super(failure.message);
    this.code = failure.extensions.code;
    this.failure = failure;
  }
}

const CLAIMED = `next_due_at runs { flow_run_id fence lease_expires_at flow_id name parameters context run_config
  scheduled_start_time times_resurrected task_runs { id task_slug map_index version serialized_state } }`;
const SET = "states { id status message }";
const DONE = "success error";
const selections: { [Name in keyof Mutations]: string } = {
  create_project: "id",
  create_flow: "id version flow_group_id created",
  create_flow_from_compressed_string: "id version flow_group_id created",
  create_tenant: "id",
  delete_tenant: "success error",
  update_tenant_name: "id",
  update_tenant_slug: "id",
  update_tenant_settings: "id",
  set_project_name: "id",
  set_project_description: "id",
  delete_project: "success error",
  register_tasks: "success error",
  register_edges: "success error",
  set_schedule_active: "success error",
  set_schedule_inactive: "success error",
  archive_flow: "success error",
  delete_flow: "success error",
  update_flow_project: "id",
  set_flow_group_description: "success error",
  set_flow_group_labels: "success error",
  set_flow_group_run_config: "success error",
  set_flow_group_schedule: "success error",
  delete_flow_group_schedule: "success error",
  set_flow_group_default_parameters: "success error",
  delete_flow_group: "success error",
  enable_flow_heartbeat: "success error",
  disable_flow_heartbeat: "success error",
  enable_flow_lazarus_process: "success error",
  disable_flow_lazarus_process: "success error",
  enable_flow_version_lock: "success error",
  disable_flow_version_lock: "success error",
  create_flow_run: "id",
  cancel_flow_run: "state",
  register_agent: "id",
  get_runs_in_queue: "flow_run_ids",
  claim_runs: CLAIMED,
  renew_leases: "lost cancelling granted",
  release_runs: "success error",
  report_states: "refused { flow_run_id code message } cancelling queued granted",
  set_flow_run_states: SET,
  set_task_run_states: SET,
  resume_task_run: "state",
  update_task_tag_limit: "id",
  delete_task_tag_limit: "success error",
  update_flow_concurrency_limit: "id",
  delete_flow_concurrency_limit: "success error",
  write_run_logs: "success error",
  update_flow_run_heartbeat: "success error",
  set_flow_run_name: "success error",
  set_flow_run_labels: "success error",
  delete_flow_run: "success error",
  get_or_create_task_run: "id",
  get_or_create_task_run_info: "id version serialized_state",
  set_task_run_name: "success error",
  update_task_run_heartbeat: "success error",
  delete_agent: "success error",
  set_key_value: "id",
  delete_key_value: DONE,
  set_secret: DONE,
  delete_secret: DONE,
  create_cloud_hook: "id signing_secret",
  delete_cloud_hook: DONE,
  set_cloud_hook_active: DONE,
  set_cloud_hook_inactive: DONE,
  test_cloud_hook: DONE,
  create_task_run_artifact: "id",
  update_task_run_artifact: DONE,
  delete_task_run_artifact: DONE,
  mark_message_as_read: DONE,
  mark_message_as_unread: DONE,
  delete_message: DONE,
  create_agent_config: "id",
  update_agent_config: DONE,
  delete_agent_config: DONE,
  create_api_key: "id key",
  delete_api_key: "success error",
};

export function mutation(name: keyof Mutations): string {
  return `mutation($input: ${name}_input!) { ${name}(input: $input) { ${selections[name]} } }`;
}

/** Starts a Cloud that is closed, and its folder removed, when the test ends. */
export async function startTestCloud(t: Teardown, options: Partial<ServerOptions> = {}): Promise<TestCloud> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-cloud-"));
  const log: TestCloud["log"] = [];
  const file = await databaseAt(t, options.database ?? join(folder, "millrace.db"));
  const server = await startServer({ port: 0, log: (line) => log.push(line), ...options, database: file });
  t.teardown(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  return talkTo(server, file, log);
}

/** Talks to a server that runs already; one beside a first one, over its database, knows the first one's token. */
export function talkTo(
  server: Server,
  file: string,
  log: TestCloud["log"],
  token: string = server.token ?? "",
): TestCloud {
  const post = async (body: string, headers: Record<string, string> = {}, path = "/"): Promise<Reply> => {
    const sent = { "content-type": "application/json", authorization: `Bearer ${token}`, ...headers };
    const response = await fetch(server.url + path, { method: "POST", headers: sent, body });
    return { status: response.status, body: (await response.json()) as Reply["body"] };
  };
  const ask: TestCloud["ask"] = (query, variables, headers) => post(JSON.stringify({ query, variables }), headers);
  return {
    server,
    url: server.url,
    token,
    file,
    log,
    post,
    ask,
    async call(name, input, headers) {
      const { body } = await ask(mutation(name), { input }, headers);
      if (body.errors?.[0]) throw new Refusal(body.errors[0]);
      return body.data?.[name] as never;
    },
    rows: async <Row>(sql: string, ...parameters: (string | number)[]) =>
      (await server.database.all<object>(sql, ...parameters)).map((row) => ({ ...row })) as Row[],
  };
}

/** The code and message of the refusal that a call must end with. */
export async function refusalOf(call: Promise<unknown>): Promise<{ code: string; message: string }> {
  try {
    await call;
  } catch (error) {
    if (error instanceof Refusal) return { code: error.code, message: error.message };
    throw error;
  }
  throw new Error("The call was not refused.");
}

export interface FlowShape {
  name?: string;
  /** `a-1`: a task; `[up, down]`: an edge. */
  tasks?: string[];
  edges?: [string, string][];
  labels?: string[];
  parameters?: { name: string; required?: boolean; default?: unknown; json_schema?: unknown }[];
  /** False: as Prefect registers it, for its own agents. Default: as Millrace does. */
  ours?: boolean;
}

/** Lets time pass as it does for a server that is up: round by round, and never in a leap. */
export async function letPass(cloud: TestCloud, clock: HandClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    clock.forward(Math.min(left, 1_000));
    await cloud.server.tick();
  }
}

/** A flow as it is registered. Default: of ours, three tasks in a chain, label `host`. */
export function serializedFlow(shape: FlowShape = {}): Record<string, unknown> {
  const { name = "orders", tasks = ["a-1", "b-1", "c-1"], labels = ["host"], parameters = [] } = shape;
  const edges = shape.edges ?? tasks.slice(1).map((slug, index) => [tasks[index]!, slug] as [string, string]);
  return {
    name,
    type: "prefect.core.flow.Flow",
    parameters: parameters.map((each) => ({ required: false, default: null, ...each })),
    tasks: tasks.map((slug) => ({
      slug,
      name: slug.replace(/-\d+$/, ""),
      max_retries: 0,
      trigger: { fn: "prefect.triggers.all_successful" },
    })),
    edges: edges.map(([up, down]) => ({
      upstream_task: { slug: up },
      downstream_task: { slug: down },
      key: "0",
      mapped: false,
    })),
    run_config: { type: "UniversalRun", labels },
    storage: { type: "Local", flows: { [name]: "/flows" } },
    __version__: "1.4.1",
    ...(shape.ours === false ? {} : { millrace: {} }),
  };
}

export interface DeployedFlow {
  projectId: string;
  flowId: string;
  flowGroupId: string;
}

/** A project with a flow in it. */
export async function deployFlow(cloud: TestCloud, shape: FlowShape = {}): Promise<DeployedFlow> {
  const [known] = await cloud.rows<{ id: string }>("SELECT id FROM project LIMIT 1");
  const projectId = known?.id ?? (await cloud.call("create_project", { name: "Sales" })).id;
  const { id, flow_group_id } = await cloud.call("create_flow", {
    project_id: projectId,
    serialized_flow: serializedFlow(shape),
  });
  return { projectId, flowId: id, flowGroupId: flow_group_id };
}

export const LEASE_MS = 30_000;

/** An agent as a test sees it: it claims, and reports numbered batches on a stream of its own. */
export class TestAgent {
  readonly id: string;
  readonly labels: string[];
  readonly #cloud: TestCloud;
  readonly streamId = newId();
  batch = 0;

  constructor(cloud: TestCloud, id: string, labels: string[]) {
    this.#cloud = cloud;
    this.id = id;
    this.labels = labels;
  }

  static async register(cloud: TestCloud, name = "agent", labels = ["host"]): Promise<TestAgent> {
    const { id } = await cloud.call("register_agent", { type: "LocalAgent", name, labels });
    return new TestAgent(cloud, id, labels);
  }

  claim(
    limit = 10,
    more: { flow_group_id?: string; lease_ms?: number; labels?: string[] } = {},
  ): Promise<ClaimRunsPayload> {
    const input = { agent_id: this.id, labels: this.labels, limit, lease_ms: LEASE_MS, ...more };
    return this.#cloud.call("claim_runs", input);
  }

  async claimOne(): Promise<ClaimedRun> {
    const { runs } = await this.claim(1);
    if (!runs[0]) throw new Error("There was no run to claim.");
    return runs[0];
  }

  report(run: { flow_run_id: string; fence: number }, states: StateReportInput[]): Promise<ReportStatesPayload> {
    this.batch += 1;
    const runs = [{ flow_run_id: run.flow_run_id, fence: run.fence, states }];
    return this.#cloud.call("report_states", { agent_id: this.id, stream_id: this.streamId, batch: this.batch, runs });
  }

  /** One state of the flow run. */
  flowState(run: ClaimedRun, type: string, message: string | null = null): Promise<ReportStatesPayload> {
    return this.report(run, [flowState(type, message)]);
  }

  renew(leases: { flow_run_id: string; fence: number }[], lease_ms = LEASE_MS) {
    const own = leases.map(({ flow_run_id, fence }) => ({ flow_run_id, fence }));
    return this.#cloud.call("renew_leases", { agent_id: this.id, leases: own, lease_ms });
  }
}

const AT = "2026-11-23T10:00:01.000Z";

export function flowState(type: string, message: string | null = null): StateReportInput {
  return { at: AT, state: { type, message } };
}

/** A task run's state, by the claimed run's own list of task runs. */
export function taskState(run: ClaimedRun, slug: string, type: string, version: number): StateReportInput {
  const taskRun = run.task_runs.find((each) => each.task_slug === slug);
  if (!taskRun) throw new Error(`The run has no task run "${slug}".`);
  return {
    task_run_id: taskRun.id,
    task_slug: slug,
    map_index: taskRun.map_index,
    version,
    at: AT,
    state: { type, message: null },
  };
}

/** The state of a flow run, and what stands beside it. */
export async function flowRunRow(cloud: TestCloud, flowRunId: string): Promise<Record<string, unknown>> {
  const [row] = await cloud.rows("SELECT * FROM flow_run WHERE id = ?1", flowRunId);
  if (!row) throw new Error(`There is no flow run ${flowRunId}.`);
  return row;
}

/** States of a flow run's task runs by slug; a mapped child's key is `slug[index]`. */
export async function taskRunStates(cloud: TestCloud, flowRunId: string): Promise<Record<string, string | null>> {
  const rows = await cloud.rows<{ slug: string; map_index: number; state: string | null }>(
    "SELECT t.slug, r.map_index, r.state FROM task_run r JOIN task t ON t.id = r.task_id WHERE r.flow_run_id = ?1 ORDER BY t.slug, r.map_index",
    flowRunId,
  );
  return Object.fromEntries(
    rows.map((row) => [row.map_index < 0 ? row.slug : `${row.slug}[${row.map_index}]`, row.state]),
  );
}
