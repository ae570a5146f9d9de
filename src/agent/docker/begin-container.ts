import type Docker from "dockerode";
import type { ClaimedRun } from "../../client/cloud.js";
import { sleepUnlessAborted } from "../../client/retry.js";
import { isMillraceError, MillraceError } from "../../core/errors.js";
import { awayWaitMs } from "../back-off.js";
import { unlessAborted } from "../flow-runs.js";
import { envOfRun, type ServedRunConfigs } from "../run-config.js";
import type { ExecutorPorts } from "../run-executor.js";
import { TOKEN_FOLDER, toContainerSpec, urlFromInside } from "./container-spec.js";
import { asDaemonError, ensureImage, isDaemonAway, statusOf, textOf } from "./daemon.js";
import type { DockerAgentOptions } from "./docker-options.js";
import { tarOf } from "./tar.js";

const SERVES: ServedRunConfigs = ["UniversalRun", "DockerRun"];

/** A daemon that is restarted is back within seconds; a run that waits longer for its container is told why not. */
export const DAEMON_WAIT_MS = 10_000;

/** What making containers needs. */
export interface BeginPorts extends ExecutorPorts {
  docker: Docker;
  options: DockerAgentOptions;
}

export interface StartedContainer {
  container: Docker.Container;
  keyId: string | null;
}

/**
 * Makes and starts a run's container.
 * @throws RUN_CONFIG_UNSUPPORTED, DOCKER_IMAGE_MISSING, DOCKER_UNREACHABLE, CONTAINER_NOT_STARTED, the signal's reason, and what
 * the Cloud throws; nothing of a container is left behind then
 */
export async function beginContainer(
  run: ClaimedRun,
  claimId: string,
  ports: BeginPorts,
  signal: AbortSignal,
): Promise<StartedContainer> {
  const { docker, options, cloud, agentId } = ports;
  const env = envOfRun(run.runConfig, SERVES);
  const image = run.runConfig?.image || options.image;
  if (!image) {
    throw new MillraceError(
      "DOCKER_IMAGE_MISSING",
      `Flow run "${run.name}" names no image, and neither does the agent.`,
      {
        hint: "Give the flow a run config, `runConfigs.docker({ image })`, or start the agent with --image.",
      },
    );
  }
  // A pull may take minutes; it goes on in the daemon, and nobody here waits for it.
  await unlessAborted(
    whenDaemonIsThere(() => ensureImage(docker, image, options.pull ?? "missing"), signal),
    signal,
  );
  signal.throwIfAborted();
  const key =
    options.token === undefined ? await cloud.createApiKey(`container of run ${run.flowRunId}`, "RUNNER") : null;
  const token = options.token ?? key!.key;
  const keyId = key?.id ?? null;
  const cloudUrl = options.cloudUrl ?? urlFromInside(cloud.url, options.networks);
  const spec = toContainerSpec({ run, image, agentId, claimId, keyId, env, cloudUrl }, options);
  try {
    const container = await whenDaemonIsThere(() => make(docker, spec), signal);
    try {
      for (const network of (options.networks ?? []).slice(1))
        await docker.getNetwork(network).connect({ Container: container.id });
      await container.putArchive(tarOf(TOKEN_FOLDER, "token", token), { path: "/" });
      signal.throwIfAborted();
      await container.start();
      return { container, keyId };
    } catch (error) {
      await container.remove({ force: true }).catch(() => {});
      throw error;
    }
  } catch (error) {
    if (keyId !== null) await cloud.deleteApiKey(keyId).catch(() => {});
    if (signal.aborted) throw signal.reason;
    throw isMillraceError(error) ? error : notStarted(run, image, error);
  }
}

/** One of that name is left from a claim whose answer was lost: it is this run's, and never began. */
async function make(docker: Docker, spec: Docker.ContainerCreateOptions): Promise<Docker.Container> {
  try {
    return await docker.createContainer(spec);
  } catch (error) {
    if (statusOf(error) !== 409) throw error;
    await docker.getContainer(spec.name!).remove({ force: true });
    return docker.createContainer(spec);
  }
}

function notStarted({ name }: ClaimedRun, image: string, error: unknown): MillraceError {
  if (isDaemonAway(error)) return asDaemonError(error, `The container of flow run "${name}" was not started`);
  return new MillraceError(
    "CONTAINER_NOT_STARTED",
    `The container of flow run "${name}" with the image "${image}" could not be started: ${textOf(error)}`,
    {
      hint: "The image must have the command `millrace` on its path; volumes and networks must be there.",
      cause: error,
    },
  );
}

async function whenDaemonIsThere<T>(work: () => Promise<T>, signal: AbortSignal): Promise<T> {
  const until = performance.now() + DAEMON_WAIT_MS;
  for (let failures = 0; ; failures++) {
    try {
      return await work();
    } catch (error) {
      if (!isDaemonAway(error)) throw error;
      if (performance.now() > until) throw asDaemonError(error, "The run's container was not made");
      await sleepUnlessAborted(awayWaitMs(failures), signal);
      signal.throwIfAborted();
    }
  }
}
