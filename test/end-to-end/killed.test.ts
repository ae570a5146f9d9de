import { readFileSync } from "node:fs";
import { join } from "node:path";
import t, { type Test } from "tap";
import { LocalAgent } from "../../src/agent/local-agent.js";
import type { Cloud } from "../../src/client/cloud.js";
import { openCloud } from "../../src/client/cloud-client.js";
import type { Deployment, Flow } from "../../src/index.js";
import { eventually } from "../helpers/eventually.js";
import { type FlowHistory, flowHistory, flowHistoryOnce } from "../helpers/flow-history.js";
import { temporaryHome } from "../helpers/home.js";
import { type ServerProcess, startAgentProcess, startServerProcess } from "../helpers/processes.js";

const LEASE_MS = 1_000;
const FIXTURE = new URL("../../../fixtures/keeps-journal.ts", import.meta.url);

const home = await temporaryHome(t);
const { keepsJournal } = (await import(FIXTURE.href)) as { keepsJournal: Flow };

interface Bed {
  server: ServerProcess;
  token: string;
  cloud: Cloud;
  deployment: Deployment;
  database: string;
  journal: string;
}

async function openBed(t: Test, name: string): Promise<Bed> {
  const database = join(home, `${name}.db`);
  const server = await startServerProcess(t, database);
  const token = server.token!;
  const cloud = openCloud({ url: server.url, token });
  t.teardown(() => cloud.close());
  const deployment = await keepsJournal.deploy("Kills", {
    cloud: { url: server.url, token },
    createProject: true,
    quiet: true,
  });
  return { server, token, cloud, deployment, database, journal: join(home, `${name}.journal`) };
}

function linesOf(journal: string): string[] {
  try {
    return readFileSync(journal, "utf8").trim().split("\n").filter(Boolean);
  } catch {
    return [];
  }
}

function successes(history: FlowHistory): string[] {
  return history.taskRuns.filter((each) => each.state === "Success").map((each) => each.slug);
}

/** Whatever happened to the processes: one final state each, never changed, and no version twice. */
function checkHistory(t: Test, history: FlowHistory): void {
  const final = ["Success", "Failed", "Cancelled", "TimedOut", "TriggerFailed", "Mapped", "Skipped"];
  for (const { states } of [history, ...history.taskRuns]) {
    const at = states.findIndex((each) => final.includes(each.state));
    t.equal(at, states.length - 1, "the final state is the last one");
    t.same(
      states.map((each) => each.version),
      states.map((_, index) => index + 1),
      "versions count up without a gap",
    );
  }
}

t.test(
  "kill -9 of the agent's process mid-run: the next agent runs the rest, and no finished task again",
  async (t) => {
    const { server, token, cloud, deployment, journal } = await openBed(t, "agent");
    const agentOptions = { url: server.url, token, labels: deployment.labels, leaseMs: LEASE_MS };
    const first = await startAgentProcess(t, agentOptions);
    const flowRunId = await cloud.createFlowRun({ flowId: deployment.flowId, parameters: { journal, ms: 60 } });
    await eventually(() => linesOf(journal).length >= 5);
    await first.kill();
    const committed = successes(await flowHistory(cloud, flowRunId));
    const ranBefore = linesOf(journal).length;

    await startAgentProcess(t, agentOptions);
    const history = await eventually(() => flowHistoryOnce(cloud, flowRunId, ["Success", "Failed"]), {
      timeoutMs: 30_000,
    });

    t.equal(history.state, "Success");
    t.equal(history.timesResurrected, 1);
    t.match(
      history.states.find((each) => each.message?.startsWith("Rescheduled"))?.message,
      /lease/,
      "the cause is named",
    );
    t.ok(committed.length > 2, "some tasks had finished");
    for (const slug of committed) {
      const states = history.taskRuns.find((each) => each.slug === slug)!.states.map((each) => each.state);
      t.equal(
        states.filter((state) => state === "Running").length,
        slug.startsWith("note") ? 1 : 0,
        `${slug} ran once`,
      );
    }
    const lines = linesOf(journal);
    const twice = lines.filter((line, index) => lines.indexOf(line) !== index);
    t.ok(twice.length <= 1, "only the task that was interrupted may have run twice");
    t.equal(new Set(lines).size, 11);
    t.ok(ranBefore < 11);
    checkHistory(t, history);
  },
);

t.test("kill -9 of the server mid-run: nothing committed is lost, and the run goes on where it stopped", async (t) => {
  const { server, cloud, deployment, database, journal } = await openBed(t, "server");
  const agent = new LocalAgent({ cloud, labels: [...deployment.labels], leaseMs: LEASE_MS * 5, threads: 2 });
  await agent.start();
  t.teardown(() => agent.drain({ graceMs: 0 }));
  const flowRunId = await cloud.createFlowRun({ flowId: deployment.flowId, parameters: { journal, ms: 60 } });
  await eventually(() => linesOf(journal).length >= 5);
  const before = await flowHistory(cloud, flowRunId);
  await server.kill();
  await eventually(() => linesOf(journal).length >= 6 || undefined, { timeoutMs: 300 }).catch(() => {});

  await startServerProcess(t, database, server.port);
  const history = await eventually(() => flowHistoryOnce(cloud, flowRunId, ["Success", "Failed"]), {
    timeoutMs: 30_000,
  });

  t.equal(history.state, "Success");
  for (const was of before.taskRuns) {
    const is = history.taskRuns.find((each) => each.slug === was.slug)!;
    t.same(is.states.slice(0, was.states.length), was.states, `${was.slug} keeps what was committed`);
  }
  const lines = linesOf(journal);
  t.equal(lines.length, 11, "the agent lived on: every task ran exactly once");
  t.equal(new Set(lines).size, 11);
  checkHistory(t, history);
});

t.test("agent and server killed together: the run ends in Success all the same", async (t) => {
  const { server, token, cloud, deployment, database, journal } = await openBed(t, "both");
  const agentOptions = { url: server.url, token, labels: deployment.labels, leaseMs: LEASE_MS };
  const first = await startAgentProcess(t, agentOptions);
  const flowRunId = await cloud.createFlowRun({ flowId: deployment.flowId, parameters: { journal, ms: 60 } });
  await eventually(() => linesOf(journal).length >= 4);
  await Promise.all([first.kill(), server.kill()]);

  await startServerProcess(t, database, server.port);
  await startAgentProcess(t, agentOptions);
  const history = await eventually(() => flowHistoryOnce(cloud, flowRunId, ["Success", "Failed"]), {
    timeoutMs: 30_000,
  });
  t.equal(history.state, "Success");
  t.equal(new Set(linesOf(journal)).size, 11);
  checkHistory(t, history);
});
