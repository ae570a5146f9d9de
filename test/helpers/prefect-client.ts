import { randomInt } from "node:crypto";
import { Refusal, type TestCloud, type WireFailure } from "./server.js";

/*
 * A client that talks as Prefect 1.4.1 does: anonymous operations in random field order, `variables` as JSON text, literals
 * inside of some mutations, no lease and no batch; and a flow runner as small as can be that goes the same way through them.
 */

export type PrefectState = Record<string, unknown> & { type: string };

/** A state as Prefect serializes it: every key that its schema has. */
export function prefectState(type: string, message: string, more: Record<string, unknown> = {}): PrefectState {
  const _result = { __version__: "1.4.1", type: "NoResultType" };
  const result = type === "Mapped" ? {} : { _result };
  return { message, context: {}, cached_inputs: {}, ...result, __version__: "1.4.1", type, ...more };
}

export interface RunInfo {
  id: string;
  version: number;
  serialized_state: PrefectState;
  task_runs: { id: string; version: number; serialized_state: PrefectState; task: { id: string; slug: string } }[];
}
export interface TaskInfo {
  id: string;
  version: number;
  serialized_state: PrefectState;
}
export interface SetAnswer {
  id: string;
  status: string;
  message: string | null;
}

const RUN_INFO = (id: string) => `flow_run_by_pk(id: "${id}") { id name flow_id parameters context version
  scheduled_start_time serialized_state task_runs(where: { map_index: { _eq: -1 } }) { id task { id slug } version
  serialized_state } flow { project { name id } } }`;

export class PrefectClient {
  agentId: string | undefined;
  readonly #cloud: TestCloud;
  /** Sends each mutation again, as after an answer that was lost. */
  readonly #twice: boolean;
  /** Each body that was sent, once. */
  readonly sent: string[] = [];

  constructor(cloud: TestCloud, options: { twice?: boolean } = {}) {
    this.#cloud = cloud;
    this.#twice = options.twice ?? false;
  }

  /** A mutation with `$input`. @throws Refusal */
  async mutate<Answer>(field: string, input: unknown, selection: string): Promise<Answer> {
    const query = `mutation($input: ${field}_input!) {\n    ${field}(input: $input) ${selection}\n}`;
    const body = JSON.stringify({ query, variables: JSON.stringify({ input }) });
    const answer = await this.#post<Answer>(field, body);
    return this.#twice ? this.#again(field, body, answer) : answer;
  }

  /** A mutation with its literals inside. @throws Refusal */
  async inline<Answer>(field: string, input: string, selection: string): Promise<Answer> {
    const body = JSON.stringify({
      query: `mutation { ${field}(input: { ${input} }) ${selection} }`,
      variables: "null",
    });
    const answer = await this.#post<Answer>(field, body);
    return this.#twice ? this.#again(field, body, answer) : answer;
  }

  async #again<Answer>(field: string, body: string, first: Answer): Promise<Answer> {
    // To be submitted is the one thing that only one may ask for: its second answer is a refusal, whoever asks.
    if (field.startsWith("set_") && body.includes("Submitted")) {
      const second = await this.#post<Answer>(field, body).catch((error: Refusal) => error.message);
      if (typeof second !== "string" || !second.includes("State update failed")) throw new Error("Submitted twice.");
      return first;
    }
    return this.#post<Answer>(field, body);
  }

  async query<Answer>(field: string, text: string): Promise<Answer> {
    return this.#post<Answer>(field, JSON.stringify({ query: `query { ${text} }`, variables: "null" }));
  }

  async #post<Answer>(field: string, body: string): Promise<Answer> {
    if (this.sent.at(-1) !== body) this.sent.push(body);
    const agent: Record<string, string> = this.agentId === undefined ? {} : { "x-prefect-agent-id": this.agentId };
    const reply = await this.#cloud.post(body, { "x-prefect-core-version": "1.4.1", ...agent });
    if (reply.status !== 200) throw new Error(`HTTP ${reply.status}: ${JSON.stringify(reply.body)}`);
    if ("errors" in reply.body) throw new Refusal((reply.body.errors as WireFailure[])[0]!);
    return reply.body.data?.[field] as Answer;
  }

  setFlowRun(id: string, version: number | null, state: unknown): Promise<SetAnswer> {
    const states = [{ state, flow_run_id: id, version }];
    return this.#set("set_flow_run_states", { states });
  }

  setTaskRun(id: string, version: number | null, state: unknown): Promise<SetAnswer> {
    return this.#set("set_task_run_states", { states: [{ state, task_run_id: id, version }] });
  }

  async #set(field: string, input: unknown): Promise<SetAnswer> {
    const selection = `{ states { ${shuffled(["id", "status", "message"]).join(" ")} } }`;
    const { states } = await this.mutate<{ states: SetAnswer[] }>(field, input, selection);
    return states[0]!;
  }

  runInfo(id: string): Promise<RunInfo> {
    return this.query("flow_run_by_pk", RUN_INFO(id));
  }

  taskInfo(flowRunId: string, taskId: string, mapIndex = -1): Promise<TaskInfo> {
    const input = `flow_run_id: "${flowRunId}", task_id: "${taskId}", map_index: ${mapIndex}`;
    return this.inline("get_or_create_task_run_info", input, "{ id version serialized_state }");
  }

  heartbeat(flowRunId: string): Promise<{ success: boolean }> {
    return this.inline("update_flow_run_heartbeat", `flow_run_id: "${flowRunId}"`, "{ success }");
  }

  async register(name: string, labels: string[]): Promise<void> {
    const input = { type: "LocalAgent", name, labels, tenant_id: null, agent_config_id: null };
    this.agentId = (await this.mutate<{ id: string }>("register_agent", input, "{ id }")).id;
  }

  async queue(labels: string[]): Promise<string[]> {
    const input = { labels, tenant_id: null };
    const answer = await this.mutate<{ flow_run_ids: string[] }>("get_runs_in_queue", input, "{ flow_run_ids }");
    return answer.flow_run_ids;
  }

  /**
   * What an agent does with an id from the queue: the run's due parts become Submitted.
   * @returns false when another agent was faster: this one then does nothing with it
   */
  async submit(flowRunId: string): Promise<boolean> {
    const [run] = await this.query<(RunInfo & { state: string })[]>(
      "flow_run",
      `flow_run(where: { id: { _in: ["${flowRunId}"] } }) { ${shuffled(["id", "version", "state", "serialized_state"]).join(" ")}
        task_runs(where: { state_start_time: { _is_null: false } }) { id version task_id serialized_state } }`,
    );
    const submitted = (state: PrefectState) => prefectState("Submitted", "Submitted for execution", { state });
    if (run!.state !== "Scheduled" && run!.state !== "Running") return false;
    if (run!.state === "Scheduled") await this.setFlowRun(run!.id, run!.version, submitted(run!.serialized_state));
    for (const each of run!.task_runs) await this.setTaskRun(each.id, each.version, submitted(each.serialized_state));
    const line = { flow_run_id: flowRunId, name: "agent", message: "Submitted for execution: PID: 1", level: "INFO" };
    await this.mutate("write_run_logs", { logs: [line] }, "{ success }");
    return true;
  }
}

function shuffled<T>(list: readonly T[]): T[] {
  const left = [...list];
  return list.map(() => left.splice(randomInt(left.length), 1)[0]!);
}

/** A process of `prefect execute flow-run`, as far as the Cloud sees it. */
export class PrefectRun {
  readonly id: string;
  readonly #client: PrefectClient;
  readonly #tasks: Map<string, string>;

  private constructor(client: PrefectClient, info: RunInfo) {
    this.#client = client;
    this.id = info.id;
    this.#tasks = new Map(info.task_runs.map(({ task }) => [task.slug, task.id]));
  }

  /** Reads the run and sets it Running. */
  static async begin(client: PrefectClient, flowRunId: string): Promise<PrefectRun> {
    const info = await client.runInfo(flowRunId);
    await client.setFlowRun(info.id, info.version, prefectState("Running", "Running flow."));
    await client.heartbeat(info.id);
    return new PrefectRun(client, info);
  }

  info(slug: string, mapIndex = -1): Promise<TaskInfo> {
    const taskId = this.#tasks.get(slug);
    if (taskId === undefined) throw new Error(`Task slug ${slug} is not found in the current Flow.`);
    return this.#client.taskInfo(this.id, taskId, mapIndex);
  }

  /** Runs a task to the states given, which follow its Running. */
  async task(slug: string, states: PrefectState[], mapIndex = -1): Promise<TaskInfo> {
    const info = await this.info(slug, mapIndex);
    const running = prefectState("Running", "Starting task run.", { context: { tags: [] } });
    await this.#client.setTaskRun(info.id, info.version, running);
    for (const state of states) await this.#client.setTaskRun(info.id, null, state);
    return info;
  }

  async mapped(slug: string, count: number): Promise<void> {
    const info = await this.info(slug);
    const state = prefectState("Mapped", "Ready to proceed with mapping.", { n_map_states: count });
    await this.#client.setTaskRun(info.id, null, state);
    for (let index = 0; index < count; index++) await this.task(slug, [success()], index);
  }

  async end(type: string, message: string): Promise<void> {
    await this.#client.runInfo(this.id);
    await this.#client.setFlowRun(this.id, null, prefectState(type, message));
  }
}

export function success(location = "3"): PrefectState {
  const _result = { location, __version__: "1.4.1", type: "PrefectResult" };
  return prefectState("Success", "Task run succeeded.", { _result, context: { tags: [] } });
}

/** What has become of a run, without ids and times: the states of it and of its task runs, by slug. */
export async function historyOf(cloud: TestCloud, flowRunId: string): Promise<Record<string, string[]>> {
  const states = await cloud.rows<{ key: string; version: number; state: string; message: string }>(
    `SELECT 'flow run' AS key, version, state, message FROM flow_run_state WHERE flow_run_id = ?1
     UNION ALL
     SELECT t.slug || ' ' || r.map_index, s.version, s.state, s.message FROM task_run_state s
     JOIN task_run r ON r.id = s.task_run_id JOIN task t ON t.id = r.task_id WHERE r.flow_run_id = ?1
     ORDER BY 1, 2`,
    flowRunId,
  );
  const history: Record<string, string[]> = {};
  for (const [key, rows] of Map.groupBy(states, (each) => each.key)) {
    history[key] = rows.map(({ version, state, message }) => `${version} ${state}: ${message}`);
  }
  return history;
}
