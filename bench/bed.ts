import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { LocalAgent } from "../src/agent/local-agent.js";
import type { Cloud } from "../src/client/cloud.js";
import { openCloud } from "../src/client/cloud-client.js";
import type { Deployment, Flow } from "../src/index.js";

/** A Cloud in its own process on a fresh SQLite file, and an agent in this one. */
export interface Bed {
  cloud: Cloud;
  address: { url: string; token: string };
  close(): Promise<void>;
}

export async function openBed(): Promise<Bed> {
  const folder = mkdtempSync(join(tmpdir(), "millrace-bench-"));
  process.env.MILLRACE_HOME = folder;
  const child = fork(fileURLToPath(new URL("./server-process.js", import.meta.url)), [join(folder, "cloud.db")]);
  const [address] = (await once(child, "message")) as [{ url: string; token: string }];
  const cloud = openCloud(address);
  return {
    cloud,
    address,
    async close() {
      await cloud.close();
      await end(child);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.disconnect();
  await exited;
}

export async function deploy(bed: Bed, flow: Flow): Promise<Deployment> {
  return flow.deploy("Bench", { cloud: bed.address, createProject: true, quiet: true });
}

/** Runs `work` while an agent with so many threads stands ready for the flow. */
export async function withAgent<T>(
  bed: Bed,
  deployment: Deployment,
  threads: number,
  work: () => Promise<T>,
): Promise<T> {
  const agent = new LocalAgent({
    cloud: bed.cloud,
    name: `bench ${deployment.flowName}`,
    labels: [...deployment.labels],
    flowGroupId: deployment.flowGroupId,
    threads,
  });
  const running = agent.run();
  try {
    return await work();
  } finally {
    await agent.drain({ graceMs: 5_000 });
    await running;
  }
}

export async function createRuns(
  bed: Bed,
  deployment: Deployment,
  count: number,
  parameters: Record<string, unknown> = {},
): Promise<string[]> {
  const ids: string[] = [];
  for (let at = 0; at < count; at += 16) {
    const part = Array.from({ length: Math.min(16, count - at) }, () =>
      bed.cloud.createFlowRun({ flowId: deployment.flowId, parameters }),
    );
    ids.push(...(await Promise.all(part)));
  }
  return ids;
}

export interface FinishedRun {
  id: string;
  state: string;
  start_time: string;
  end_time: string;
  states: { state: string; timestamp: string }[];
}

/** Waits, without loading the server much, until the runs are finished; throws when one is not a success. */
export async function finished(bed: Bed, flowId: string, count: number, pollMs = 5): Promise<void> {
  for (;;) {
    const { done, failed } = await bed.cloud.query<Record<"done" | "failed", { aggregate: { count: number } }>>(
      `query ($flow: UUID) {
         done: flow_run_aggregate(where: { flow_id: { _eq: $flow }, end_time: { _is_null: false } }) { aggregate { count } }
         failed: flow_run_aggregate(where: { flow_id: { _eq: $flow }, state: { _in: ["Failed", "Cancelled"] } }) { aggregate { count } }
       }`,
      { flow: flowId },
    );
    if (failed.aggregate.count > 0) throw new Error(`${failed.aggregate.count} bench runs failed`);
    if (done.aggregate.count >= count) return;
    await sleep(pollMs);
  }
}
