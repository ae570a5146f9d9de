import { join } from "node:path";
import { LocalAgent, type LocalAgentOptions } from "../../src/agent/local-agent.js";
import type { Cloud } from "../../src/client/cloud.js";
import { openCloud } from "../../src/client/cloud-client.js";
import {
  type FlowRunRow,
  getFlowRun,
  type LogRow,
  listLogs,
  listTaskRuns,
  type TaskRunRow,
} from "../../src/client/run-reads.js";
import { type Deployment, deployModule } from "../../src/deploy/deploy.js";
import { eventually } from "./eventually.js";
import { type ServerProcess, startServerHere, startServerProcess } from "./processes.js";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/** A real Cloud, a client of it, and agents in this process. */
export interface AgentBed {
  readonly cloud: Cloud;
  readonly address: { url: string; token: string };
  /** What the agents said. */
  readonly lines: string[];
  /** Saves and registers the flow of `fixtures/<name>.ts`, once a bed. */
  deploy(name: string): Promise<Deployment>;
  /** An agent for all flows that were deployed so far; stopped when the test ends. */
  agent(options?: Partial<LocalAgentOptions>): LocalAgent;
  /** Asks for a run of the fixture and answers its id. */
  create(name: string, parameters?: Record<string, unknown>): Promise<string>;
  flowRun(flowRunId: string): Promise<FlowRunRow>;
  taskRuns(flowRunId: string): Promise<TaskRunRow[]>;
  logs(flowRunId: string): Promise<LogRow[]>;
  /** Waits for a final state, or the one that is named. */
  reached(flowRunId: string, state?: string): Promise<FlowRunRow>;
  killServer(): Promise<void>;
  /** Starts the Cloud again where it was. */
  restartServer(): Promise<void>;
}

const FINAL = ["Success", "Failed", "Cancelled"];
let beds = 0;

/**
 * Opens a bed in `folder`; everything in it is closed when the test ends.
 * @param options `killable`: the Cloud is a process of its own.
 */
export async function openAgentBed(
  t: Teardown,
  folder: string,
  { killable = false }: { killable?: boolean } = {},
): Promise<AgentBed> {
  const database = join(folder, `agent-bed-${++beds}.db`);
  let server: ServerProcess = await (killable ? startServerProcess : startServerHere)(t, database);
  const address = { url: server.url, token: server.token! };
  // Two tries in place of six: a test that kills the Cloud need not wait for seconds to see it noticed.
  const cloud = openCloud({ ...address, tries: 2 });
  const agents: LocalAgent[] = [];
  const deployments = new Map<string, Promise<Deployment>>();
  const labels: string[] = [];
  const lines: string[] = [];
  t.teardown(async () => {
    await Promise.all(agents.map((agent) => agent.drain({ graceMs: 0 })));
    await cloud.close();
  });

  async function deployOnce(name: string): Promise<Deployment> {
    const file = new URL(`../../../fixtures/${name}.ts`, import.meta.url).pathname;
    const [deployment] = await deployModule(file, "Tests", { cloud, createProject: true });
    labels.push(...deployment!.labels);
    return deployment!;
  }

  function deploy(name: string): Promise<Deployment> {
    const deployment = deployments.get(name) ?? deployOnce(name);
    deployments.set(name, deployment);
    return deployment;
  }

  return {
    cloud,
    address,
    lines,
    deploy,
    agent(options = {}) {
      const agent = new LocalAgent({ cloud, labels, threads: 2, log: (line) => lines.push(line), ...options });
      agents.push(agent);
      return agent;
    },
    async create(name, parameters = {}) {
      const { flowId } = await deploy(name);
      return cloud.createFlowRun({ flowId, parameters });
    },
    flowRun: (flowRunId) => getFlowRun(cloud, flowRunId),
    taskRuns: (flowRunId) => listTaskRuns(cloud, flowRunId, { limit: 1_000 }),
    logs: (flowRunId) => listLogs(cloud, flowRunId, { limit: 1_000 }),
    reached: (flowRunId, state) =>
      eventually(
        async () => {
          const row = await getFlowRun(cloud, flowRunId);
          return (state === undefined ? FINAL.includes(row.state ?? "") : row.state === state) && row;
        },
        { timeoutMs: 20_000, message: `run ${flowRunId} to be ${state ?? "finished"}` },
      ),
    killServer: () => server.kill(),
    async restartServer() {
      server = await startServerProcess(t, database, server.port);
    },
  };
}
