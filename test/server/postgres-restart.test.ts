import { execFile } from "node:child_process";
import { promisify } from "node:util";
import t from "tap";
import { newId } from "../../src/core/ids.js";
import { eventually } from "../helpers/eventually.js";
import { brokenInvariants } from "../helpers/invariants.js";
import { deployFlow, flowState, TestAgent, type TestCloud, taskState } from "../helpers/server.js";
import { needsPostgres } from "../helpers/test-database.js";
import { startTwo } from "../helpers/two-servers.js";

const run = promisify(execFile);

t.test(
  "Postgres is restarted in the middle of reports: none that was answered is lost",
  {
    skip: needsPostgres.skip || (!process.env.MILLRACE_TEST_POSTGRES_CONTROL && "the server is not ours to restart"),
  },
  async (t) => {
    const [first, second] = await startTwo(t);
    const { flowId } = await deployFlow(first, { tasks: ["a-1"] });
    const [control, ...words] = JSON.parse(process.env.MILLRACE_TEST_POSTGRES_CONTROL!) as [string, ...string[]];
    const acknowledged: string[] = [];
    let over = false;
    const work = async (cloud: TestCloud, n: number) => {
      const agent = await again(() => TestAgent.register(cloud, `agent ${n}`));
      while (!over) {
        await again(() => cloud.call("create_flow_run", { flow_id: flowId, idempotency_key: newId() }));
        const { runs } = await again(() => agent.claim(1));
        if (!runs[0]) continue;
        const states = [
          flowState("Running"),
          taskState(runs[0], "a-1", "Running", 1),
          taskState(runs[0], "a-1", "Success", 2),
          flowState("Success"),
        ];
        for (const state of states) {
          agent.batch += 1;
          const { batch } = agent;
          // Sent again under its number, as our agents do.
          const answer = await again(() => {
            agent.batch = batch - 1;
            return agent.report(runs[0]!, [state]);
          });
          t.strictSame(answer.refused, []);
        }
        acknowledged.push(runs[0].flow_run_id);
      }
    };
    const workers = [first, second, first, second].map(work);
    for (let restarts = 1; restarts <= 3; restarts++) {
      const target = acknowledged.length + 20;
      await eventually(() => acknowledged.length >= target, { timeoutMs: 30_000, message: "20 more runs" });
      await run(control, withVerb(words, "restart", ["-m", "immediate"]), { cwd: "/" });
    }
    const target = acknowledged.length + 20;
    await eventually(() => acknowledged.length >= target, {
      timeoutMs: 30_000,
      message: "20 runs after the last restart",
    });
    over = true;
    await Promise.all(workers);
    const ended = new Set(
      (await first.rows<{ id: string }>("SELECT id FROM flow_run WHERE state = 'Success'")).map((row) => row.id),
    );
    t.strictSame(
      acknowledged.filter((id) => !ended.has(id)),
      [],
    );
    t.strictSame(await brokenInvariants(first), []);
  },
);

/** pg_ctl's words, run by its owner or not: the verb stands behind the program's name. */
function withVerb(words: readonly string[], verb: string, more: readonly string[]): string[] {
  const at = words.indexOf("-D");
  return [...words.slice(0, at), verb, ...more, ...words.slice(at)];
}

/** Tries until the Cloud's database is there again. */
function again<T>(call: () => Promise<T>): Promise<T> {
  return eventually(async () => ({ answer: await call() }), { timeoutMs: 20_000 }).then(({ answer }) => answer);
}
