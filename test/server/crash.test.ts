import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import type { ClaimedRun, StateReportInput } from "../../src/client/wire.js";
import { newId } from "../../src/core/ids.js";
import { openSqlite } from "../../src/db/open-database.js";
import { eventually } from "../helpers/eventually.js";
import { brokenInvariants } from "../helpers/invariants.js";
import { flowState, mutation, serializedFlow, taskState } from "../helpers/server.js";

const script = fileURLToPath(new URL("./crash-server.js", import.meta.url));

interface Running {
  child: ChildProcess;
  url: string;
}

async function start(database: string): Promise<Running & { token: string }> {
  const child = fork(script, [database], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const [message] = (await once(child, "message")) as [{ url: string; token: string }];
  return { child, ...message };
}

async function kill({ child }: Running): Promise<void> {
  child.kill("SIGKILL");
  await once(child, "exit");
}

/** A run as its agent believes it to be: the states that the Cloud has acknowledged, in order. */
interface Believed {
  run: ClaimedRun;
  acknowledged: { taskRunId: string | null; type: string }[];
}

const STEPS = (run: ClaimedRun): StateReportInput[][] => [
  [flowState("Running"), taskState(run, "a-1", "Running", 1)],
  [taskState(run, "a-1", "Success", 2), taskState(run, "b-1", "Running", 1)],
  [taskState(run, "b-1", "Success", 2), taskState(run, "c-1", "Running", 1)],
  [taskState(run, "c-1", "Success", 2), flowState("Success")],
];

t.test("kill -9 in the middle of load loses no acknowledged state, and a batch may be sent again", async (t) => {
  const database = join(t.testdir(), "millrace.db");
  let server: Running = await start(database);
  const { token } = server as Running & { token: string };
  t.teardown(() => server.child.kill("SIGKILL"));

  /** Sends until it is answered, by whichever server is there then: what an agent's client does. */
  async function call<T>(name: Parameters<typeof mutation>[0], input: unknown): Promise<T> {
    const body = JSON.stringify({ query: mutation(name), variables: { input } });
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const { data, errors } = await eventually(
      async () =>
        (await fetch(server.url, { method: "POST", headers, body })).json() as Promise<{
          data: Record<string, T>;
          errors?: unknown;
        }>,
      { timeoutMs: 60_000, message: `an answer to ${name}` },
    );
    if (errors) throw new Error(JSON.stringify(errors));
    return data[name]!;
  }

  const { id: project_id } = await call<{ id: string }>("create_project", { name: "p" });
  const { id: flow_id } = await call<{ id: string }>("create_flow", { project_id, serialized_flow: serializedFlow() });
  for (let index = 0; index < 120; index++) await call("create_flow_run", { flow_id, idempotency_key: `run ${index}` });

  const believed: Believed[] = [];
  async function work(name: string): Promise<void> {
    const { id: agent_id } = await call<{ id: string }>("register_agent", {
      type: "LocalAgent",
      name,
      labels: ["host"],
    });
    const stream_id = newId();
    let batch = 0;
    for (;;) {
      const { runs } = await call<{ runs: ClaimedRun[] }>("claim_runs", {
        agent_id,
        labels: ["host"],
        limit: 3,
        lease_ms: 600_000,
      });
      if (runs.length === 0) return;
      const mine = runs.map((run): Believed => ({ run, acknowledged: [] }));
      believed.push(...mine);
      for (let step = 0; step < 4; step++) {
        batch += 1;
        const reports = mine.map(({ run }) => ({
          flow_run_id: run.flow_run_id,
          fence: run.fence,
          states: STEPS(run)[step]!,
        }));
        const { refused } = await call<{ refused: unknown[] }>("report_states", {
          agent_id,
          stream_id,
          batch,
          runs: reports,
        });
        t.strictSame(refused, []);
        for (const { run, acknowledged } of mine) {
          for (const { task_run_id, state } of STEPS(run)[step]!) {
            acknowledged.push({ taskRunId: task_run_id ?? null, type: (state as { type: string }).type });
          }
        }
      }
    }
  }

  const working = Promise.all([work("one"), work("two"), work("three")]);
  for (let kills = 0; kills < 4; kills++) {
    const seen = believed.length;
    await eventually(() => believed.length > seen + 5 || believed.length >= 100, {
      timeoutMs: 60_000,
      message: "progress",
    });
    await kill(server);
    server = await start(database);
    t.equal((server as Running & { token?: string }).token, undefined);
  }
  await working;
  await kill(server);

  const reopened = openSqlite(database);
  const rows = <Row>(sql: string, ...parameters: (string | number)[]) => reopened.all<Row>(sql, ...parameters);
  t.strictSame(await brokenInvariants({ rows } as Parameters<typeof brokenInvariants>[0]), []);
  for (const { run, acknowledged } of believed) {
    const flowStates = await rows<{ state: string }>(
      "SELECT state FROM flow_run_state WHERE flow_run_id = ?1 ORDER BY version",
      run.flow_run_id,
    );
    t.strictSame(
      flowStates.map((each) => each.state).slice(-2),
      acknowledged.filter((each) => each.taskRunId === null).map((each) => each.type),
    );
    for (const task of run.task_runs) {
      const states = await rows<{ state: string }>(
        "SELECT state FROM task_run_state WHERE task_run_id = ?1 ORDER BY version",
        task.id,
      );
      t.strictSame(
        states.map((each) => each.state).slice(1),
        acknowledged.filter((each) => each.taskRunId === task.id).map((each) => each.type),
        "each once, in order",
      );
    }
  }
  // Claims whose answer was lost with the server are the only runs that nobody worked on; their leases still stand.
  const [open] = await rows<{ n: number }>(
    "SELECT count(*) AS n FROM flow_run WHERE state = 'Submitted' AND lease_agent_id IS NOT NULL",
  );
  t.equal(believed.length + (open?.n ?? 0), 120);
  await reopened.close();
});
