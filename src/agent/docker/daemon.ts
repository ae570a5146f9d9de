import type Docker from "dockerode";
import { MillraceError } from "../../core/errors.js";
import { loadVendor } from "../../storage/load-vendor.js";
import type { PullPolicy } from "./docker-options.js";

/** @throws DOCKER_PACKAGE_MISSING, INPUT_INVALID for an address that is none, DOCKER_UNREACHABLE */
export async function openDaemon(host: string | undefined): Promise<Docker> {
  const module = await loadVendor("dockerode", () => import("dockerode"), process.cwd(), "DOCKER_PACKAGE_MISSING");
  // CommonJS: its one export, by way of `import()` or of `require()`.
  const Engine = ((module as { default?: unknown }).default ?? module) as typeof Docker;
  const docker = new Engine(host === undefined ? undefined : addressOf(host));
  await docker.ping().catch((error: unknown) => {
    throw asDaemonError(error, "The agent cannot start");
  });
  return docker;
}

function addressOf(host: string): Docker.DockerOptions {
  const url = URL.parse(host);
  if (url?.protocol === "unix:" && url.pathname !== "") return { socketPath: url.pathname };
  if (url?.protocol === "tcp:" || url?.protocol === "http:")
    return { protocol: "http", host: url.hostname, port: Number(url.port || 2375) };
  if (url?.protocol === "https:") return { protocol: "https", host: url.hostname, port: Number(url.port || 2376) };
  throw new MillraceError("INPUT_INVALID", `The Docker daemon's address is ${JSON.stringify(host)}, which is none.`, {
    hint: "Write it as unix:///var/run/docker.sock, or http://host:2375.",
  });
}

/** The daemon's own status of a refusal; undefined when it did not answer at all. */
export function statusOf(error: unknown): number | undefined {
  const { statusCode } = error as { statusCode?: unknown };
  return typeof statusCode === "number" ? statusCode : undefined;
}

/** The daemon is away, or goes away just now: it may be back. */
export function isDaemonAway(error: unknown): boolean {
  return statusOf(error) === undefined && !(error instanceof MillraceError);
}

/** What the daemon says, without the words that its client puts before it. */
export function textOf(error: unknown): string {
  const { json, message } = error as { json?: { message?: unknown }; message?: string };
  return typeof json?.message === "string" ? json.message : String(message ?? error);
}

export function asDaemonError(error: unknown, what: string): MillraceError {
  return new MillraceError("DOCKER_UNREACHABLE", `${what}: the Docker daemon does not answer: ${textOf(error)}.`, {
    hint: "Start the daemon, or name its address; the agent's user must be allowed to use its socket.",
    cause: error,
  });
}

/** Sees to it that the image is there. @throws DOCKER_IMAGE_MISSING; what a daemon that is away throws */
export async function ensureImage(docker: Docker, image: string, policy: PullPolicy): Promise<void> {
  const isThere = policy !== "always" && (await hasImage(docker, image));
  if (isThere) return;
  if (policy === "never") {
    throw new MillraceError("DOCKER_IMAGE_MISSING", `There is no image "${image}" here, and the agent pulls none.`, {
      hint: "Build or load the image on the agent's machine, or let it pull: `--pull missing`.",
    });
  }
  try {
    // With a tag or a digest; without one, the daemon would pull every tag of that name.
    const stream = await docker.pull(/[:@][^/]*$/.test(image) ? image : `${image}:latest`);
    await new Promise<void>((resolve, reject) => {
      docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve()));
    });
  } catch (error) {
    if (statusOf(error) === undefined && (await isGone(docker))) throw error;
    throw new MillraceError("DOCKER_IMAGE_MISSING", `The image "${image}" could not be pulled: ${textOf(error)}`, {
      hint: "Check the image's name and that the registry can be reached and lets you pull, or load the image by hand.",
      cause: error,
    });
  }
}

async function hasImage(docker: Docker, image: string): Promise<boolean> {
  try {
    await docker.getImage(image).inspect();
    return true;
  } catch (error) {
    if (statusOf(error) === 404) return false;
    throw error;
  }
}

const isGone = (docker: Docker): Promise<boolean> =>
  docker.ping().then(
    () => false,
    () => true,
  );
