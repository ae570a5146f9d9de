import type { AgentOptions } from "../agent-loop.js";

/** When an image is pulled: never, when it is not there, or before every run. */
export const PULL_POLICIES = ["missing", "always", "never"] as const;
export type PullPolicy = (typeof PULL_POLICIES)[number];

/** Options of a DockerAgent; all but `cloud` and, for runs that name no image, `image` are optional. Labels: by default none. */
export interface DockerAgentOptions extends AgentOptions {
  /** The image of runs that name none: one with Node and Millrace in it. */
  image?: string;
  /** How many containers at once. Default 4. */
  containers?: number;
  /** The Docker daemon: `unix:///path`, `http://host:port`. Default: what `DOCKER_HOST` says, and `/var/run/docker.sock`. */
  host?: string;
  /** Default "missing". */
  pull?: PullPolicy;
  /** Environment variables for every container; a run config's stand before them. */
  env?: Readonly<Record<string, string>>;
  /** Bind mounts and named volumes, as `docker run -v` takes them: `/data:/data:ro`. */
  volumes?: readonly string[];
  /** Networks that containers join; `host` and `none` stand alone. Default: Docker's bridge. */
  networks?: readonly string[];
  /** The most memory of a container in MiB, where the run does not say. Default: no limit. */
  memoryMb?: number;
  /** Processors that a container may keep busy, where the run does not say. Default: no limit. */
  cpus?: number;
  /**
   * The Cloud's address as containers see it. Default: the agent's own, in which `localhost`, `127.0.0.1` and `[::1]` are
   * `host.docker.internal`.
   */
  cloudUrl?: string;
  /**
   * The token that containers show. Default: one of scope RUNNER is made for each container and revoked when it has ended,
   * for which the agent's own token must be of scope USER.
   */
  token?: string;
  /** The command in the image. Default `["millrace"]`. */
  command?: readonly string[];
  /** Keep containers that have ended, to look at them. Default false. */
  keepContainers?: boolean;
  /** Take flows that are signed by one of these keys only: paths of public keys, as they are in the image. */
  requireSignedBy?: readonly string[];
  /** Hand on what containers print to `log`, line by line. Default false. */
  showLogs?: boolean;
}
