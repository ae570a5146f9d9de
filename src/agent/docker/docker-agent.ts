import { AgentLoop } from "../agent-loop.js";
import { prepareDocker } from "./docker-executor.js";
import type { DockerAgentOptions } from "./docker-options.js";

const DEFAULT_CONTAINERS = 4;
/** Longer than what `millrace execute` gives a cancelled run, so that it can tell the Cloud itself. */
const DEFAULT_STOP_GRACE_MS = 15_000;

/**
 * Takes flow runs from a Cloud and starts a container for each, in which `millrace execute` runs it. Of run configs it serves
 * universal and Docker ones. It needs the package `dockerode`. When it stops, containers go on; started again under the same
 * name and labels, it finds them and watches on.
 *
 * @example
 * const agent = new DockerAgent({ cloud: openCloud({ url, token }), image: "acme/millrace:1", labels: ["docker"] });
 * process.once("SIGTERM", () => agent.stop());
 * await agent.run();
 */
export class DockerAgent extends AgentLoop {
  /** @throws AGENT_LABELS_INVALID */
  constructor(options: DockerAgentOptions) {
    super(options, {
      type: "DockerAgent",
      labels: options.labels ?? [],
      limit: Math.max(1, options.containers ?? DEFAULT_CONTAINERS),
      prepare: () => prepareDocker(options, options.cancelGraceMs ?? DEFAULT_STOP_GRACE_MS),
    });
  }

  /** Claims nothing more and leaves the containers to themselves. */
  override stop(): Promise<void> {
    return this.drain({ graceMs: 0 });
  }
}
