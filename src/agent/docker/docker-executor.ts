import { sleepUnlessAborted } from "../../client/retry.js";
import { MillraceError } from "../../core/errors.js";
import { newId } from "../../core/ids.js";
import { awayWaitMs } from "../back-off.js";
import type { ExecutorPorts, RunExecutor } from "../run-executor.js";
import { type ContainerPorts, ContainerRun, startContainerRun } from "./container-run.js";
import { labels, leaseOf } from "./container-spec.js";
import { openDaemon } from "./daemon.js";
import type { DockerAgentOptions } from "./docker-options.js";

/** @throws what `openDaemon` throws, INPUT_INVALID when there is no token for containers */
export async function prepareDocker(
  options: DockerAgentOptions,
  stopGraceMs: number,
): Promise<(ports: ExecutorPorts) => RunExecutor> {
  const docker = await openDaemon(options.host);
  const { scope } = options.token === undefined ? await options.cloud.authInfo() : { scope: "USER" };
  if (scope !== "USER") {
    throw new MillraceError(
      "INPUT_INVALID",
      `The agent's token has the scope ${scope}, and can make none for containers.`,
      {
        hint: "Give it a token of scope USER, or say which RUNNER token containers get: the option `token`.",
      },
    );
  }
  return (ports) => {
    const closing = new AbortController();
    let isReady = true;
    let looking: Promise<void> = Promise.resolve();
    const lookForDaemon = async () => {
      for (let failures = 0; !isReady && !closing.signal.aborted; failures++) {
        await sleepUnlessAborted(awayWaitMs(failures), closing.signal);
        isReady = await docker.ping().then(
          () => true,
          () => false,
        );
      }
      if (!closing.signal.aborted) ports.onReady();
    };
    const onAway = () => {
      if (!isReady) return;
      isReady = false;
      looking = lookForDaemon();
    };
    const own: ContainerPorts = { ...ports, docker, options, stopGraceMs, onAway };
    return {
      isReady: () => isReady,
      adopt: () => adopt(own),
      start: (run, claimId) => startContainerRun(run, claimId ?? newId(), own),
      async close() {
        closing.abort();
        await looking;
      },
    };
  };
}

/** Containers that this agent started before it was started anew, also those that have ended meanwhile. */
async function adopt(ports: ContainerPorts): Promise<ContainerRun[]> {
  const { docker, agentId, cloud } = ports;
  const filters = { label: [`${labels.agentId}=${agentId}`] };
  const runs: ContainerRun[] = [];
  for (const { Id, Labels, State } of await docker.listContainers({ all: true, filters })) {
    const lease = leaseOf(Labels);
    if (!lease) continue;
    const container = docker.getContainer(Id);
    const keyId = Labels[labels.keyId] ?? null;
    if (State === "created") {
      // The agent died before it had started it.
      await container.remove({ force: true });
      if (keyId !== null) await cloud.deleteApiKey(keyId);
      await cloud.releaseRuns(agentId, [lease]);
      continue;
    }
    const name = Labels[labels.flowRunName] ?? lease.flowRunId;
    runs.push(new ContainerRun({ ...lease, name }, async () => ({ container, keyId }), ports));
  }
  return runs;
}
