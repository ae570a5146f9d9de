import type Docker from "dockerode";
import type { ClaimedRun, Lease } from "../../client/cloud.js";
import type { DockerAgentOptions } from "./docker-options.js";

/** Labels of our containers: by them an agent finds its own again. */
export const labels = {
  agentId: "io.millrace.agent-id",
  flowRunId: "io.millrace.flow-run-id",
  flowRunName: "io.millrace.flow-run-name",
  flowId: "io.millrace.flow-id",
  fence: "io.millrace.fence",
  keyId: "io.millrace.key-id",
} as const;

/** Where a container finds its token; `millrace execute` deletes the file before the flow is loaded. */
export const TOKEN_FOLDER = "run/millrace";
export const TOKEN_FILE = `/${TOKEN_FOLDER}/token`;

const MIB = 1024 ** 2;
const HOST_NAME = "host.docker.internal";

export interface ContainerFacts {
  run: ClaimedRun;
  image: string;
  agentId: string;
  claimId: string;
  keyId: string | null;
  /** What the run asks for. */
  env: Readonly<Record<string, string>>;
  cloudUrl: string;
}

export function toContainerSpec(facts: ContainerFacts, options: DockerAgentOptions): Docker.ContainerCreateOptions {
  const { run, image, agentId, claimId, keyId } = facts;
  const { volumes = [], networks = [], command = ["millrace"], requireSignedBy = [] } = options;
  const { mem_limit, nano_cpus } = run.runConfig?.host_config ?? {};
  const memory = bytesOf(mem_limit) ?? (options.memoryMb === undefined ? undefined : options.memoryMb * MIB);
  const nanoCpus = Number(nano_cpus) || (options.cpus === undefined ? 0 : Math.round(options.cpus * 1e9));
  const env = {
    ...options.env,
    ...facts.env,
    MILLRACE_API_URL: facts.cloudUrl,
    MILLRACE_AGENT_ID: agentId,
    MILLRACE_CLAIM_ID: claimId,
  };
  return {
    name: containerName(run),
    Image: image,
    Cmd: [
      ...command,
      ...["execute", "--flow-run", run.flowRunId, "--whole-env", "--token-file", TOKEN_FILE, "--remove-token-file"],
      ...requireSignedBy.flatMap((file) => ["--require-signed-by", file]),
    ],
    // An image's own entry point would get the command for arguments.
    Entrypoint: [],
    Env: Object.entries(env).map(([name, value]) => `${name}=${value}`),
    Labels: {
      [labels.agentId]: agentId,
      [labels.flowRunId]: run.flowRunId,
      [labels.flowRunName]: run.name,
      [labels.flowId]: run.flowId,
      [labels.fence]: String(run.fence),
      ...(keyId === null ? {} : { [labels.keyId]: keyId }),
    },
    HostConfig: {
      // Not Docker's own removal: how it ended has to be looked at first.
      AutoRemove: false,
      Binds: [...volumes],
      ...(networks[0] === undefined ? {} : { NetworkMode: networks[0] }),
      ...(networks[0] === "host" || networks[0] === "none" ? {} : { ExtraHosts: [`${HOST_NAME}:host-gateway`] }),
      // Swap would let a container have twice of what it was given.
      ...(memory === undefined ? {} : { Memory: memory, MemorySwap: memory }),
      ...(nanoCpus > 0 ? { NanoCpus: nanoCpus } : {}),
    },
  };
}

/** The names of two claims of one run differ: the first container may be there still. */
function containerName({ name, flowRunId, fence }: ClaimedRun): string {
  const slug = name
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .replace(/^-|-$/g, "")
    .slice(0, 40);
  return `millrace-${slug === "" ? "run" : slug}-${flowRunId.slice(-12)}-${fence}`;
}

/** docker-py's spelling: bytes, or a number with b, k, m or g. */
export function bytesOf(limit: unknown): number | undefined {
  if (typeof limit === "number" && limit > 0) return limit;
  const [, digits, unit = ""] = (typeof limit === "string" && /^(\d+)([bkmg]?)$/i.exec(limit.trim())) || [];
  if (digits === undefined) return undefined;
  return Number(digits) * 1024 ** Math.max(0, "bkmg".indexOf(unit.toLowerCase()));
}

/** A container's own localhost is not the agent's. */
export function urlFromInside(url: string, networks: readonly string[] = []): string {
  if (networks[0] === "host") return url;
  const parsed = new URL(url);
  if (["localhost", "127.0.0.1", "[::1]"].includes(parsed.hostname)) parsed.hostname = HOST_NAME;
  return parsed.href.replace(/\/$/, "");
}

/** The lease that a container's labels tell of; undefined for a container that is none of ours. */
export function leaseOf(found: Readonly<Record<string, string>>): Lease | undefined {
  const flowRunId = found[labels.flowRunId];
  const fence = Number(found[labels.fence]);
  return flowRunId !== undefined && Number.isInteger(fence) ? { flowRunId, fence } : undefined;
}
