import { hostname } from "node:os";
import { LocalAgent } from "./agent/local-agent.js";
import type { Cloud, RegisteredFlow } from "./client/cloud.js";
import { openCloud } from "./client/cloud-client.js";
import { resolveCloud } from "./client/config.js";
import { MillraceError } from "./core/errors.js";
import type { FlowDefinition } from "./core/flow-definition.js";
import { toFlowSpec } from "./core/flow-spec.js";
import { taskIdsChanged } from "./core/spec-diff.js";
import { compareWithDeployed } from "./deploy/compare.js";
import { deployFlow } from "./deploy/deploy.js";
import type { CloudAddress } from "./deploy-flow.js";
import { loadSigningKey } from "./storage/key-files.js";
import { chosenBefore } from "./storage/open.js";

/** Options of `flow.runAgent()`; all of them optional. */
export interface RunAgentOptions {
  /** "thread": worker threads of this process (default). "inline": this very thread, one run at a time, for breakpoints and embedding. */
  mode?: "thread" | "inline";
  /** How many runs at once. Default: one less than the processors; 1 inline. */
  threads?: number;
  /** Run what is due and return. Default false: run until stopped. */
  once?: boolean;
  /** When this code is not what was deployed: deploy it, with the labels and in the storage that it had, in place of refusing. Default false. */
  redeploy?: boolean;
  /** Signs what `redeploy` deploys: as `sign` of `deploy()`. */
  sign?: string;
  /** The project, where flows of this name are deployed in several. Default: the newest of them. */
  project?: string;
  /** Environment variables that flow code may see besides a short list of harmless ones: names, or names and values. */
  env?: readonly string[] | Readonly<Record<string, string>>;
  /**
   * Run the flow only when it was deployed signed by one of these keys: paths of public keys (PEM), or the PEM itself.
   * Default: signed or not.
   */
  requireSignedBy?: readonly string[];
  cloud?: CloudAddress;
  /** Stops the agent as SIGTERM does: no new runs, those under way are waited for. */
  signal?: AbortSignal;
  /** Stop on SIGINT and SIGTERM. Default true. */
  handleSignals?: boolean;
  /** How long a stopping agent waits for its runs before it stops them hard and gives them back, in milliseconds. Default 30,000. */
  drainMs?: number;
  /** Print nothing. Default false. */
  quiet?: boolean;
}

const DEFAULT_DRAIN_MS = 30_000;

export async function runAgentHere(flow: FlowDefinition, options: RunAgentOptions): Promise<void> {
  const cloud = openCloud(resolveCloud(options.cloud ?? {}));
  try {
    const registered = await deployedAsHeld(flow, cloud, options);
    await runUntilStopped(flow, registered, cloud, options);
  } finally {
    await cloud.close();
  }
}

/** The newest deployed version, once it is known to be the flow in the caller's hands. */
async function deployedAsHeld(flow: FlowDefinition, cloud: Cloud, options: RunAgentOptions): Promise<RegisteredFlow> {
  const registered = await cloud.latestFlow(options.project, flow.name);
  if (!registered) {
    const where = options.project === undefined ? "" : ` in project "${options.project}"`;
    throw new MillraceError("FLOW_NOT_DEPLOYED", `Flow "${flow.name}" was never deployed${where} to ${cloud.url}.`, {
      hint: "Call its deploy() first, or run `millrace deploy <file> --project <project>`.",
    });
  }
  const rows = await compareWithDeployed(flow, registered);
  if (rows.length === 0) return registered;
  if (options.redeploy ?? false) {
    const storage = flow.options.storage ?? chosenBefore(registered.storage);
    const runConfig = flow.options.runConfig ?? registered.runConfig;
    await deployFlow(flow, registered.projectName, {
      cloud,
      labels: furtherLabels(flow, registered),
      ...(runConfig === null ? {} : { runConfig }),
      ...(storage === undefined ? {} : { storage }),
      ...(options.sign === undefined ? {} : { signingKey: await loadSigningKey(options.sign) }),
    });
    return (await cloud.latestFlow(registered.projectName, flow.name)) ?? registered;
  }
  throw taskIdsChanged(
    flow.name,
    { label: `the Cloud (version ${registered.version})`, spec: registered.spec },
    { label: "this process", spec: toFlowSpec(flow) },
    rows,
    "Deploy the flow again with deploy(), or call runAgent({ redeploy: true }).",
  );
}

/** What the agent carries, and what a deployment on this machine gives a flow by itself. */
const ownLabels = (flow: FlowDefinition): string[] => [hostname(), flow.name];

/** Labels that the flow was deployed with besides those. */
function furtherLabels(flow: FlowDefinition, { labels }: RegisteredFlow): string[] {
  const own = ownLabels(flow);
  return labels.filter((label) => !own.includes(label));
}

/** Without it an agent that can never get a run looks like one that has nothing to do. */
function warnOfLabels(flow: FlowDefinition, registered: RegisteredFlow): void {
  const missing = furtherLabels(flow, registered).map((label) => `"${label}"`);
  if (missing.length === 0) return;
  const which = missing.length === 1 ? `the label ${missing[0]}` : `the labels ${missing.join(", ")}`;
  process.stderr.write(
    `Warning: runs of flow "${flow.name}" need ${which}, which this agent does not carry: it takes none of them, unless they are started with other labels. Start an agent that does with \`millrace agent start local --label …\`, or deploy the flow without.\n`,
  );
}

async function runUntilStopped(
  flow: FlowDefinition,
  registered: RegisteredFlow,
  cloud: Cloud,
  options: RunAgentOptions,
): Promise<void> {
  const say = (line: string) => {
    if (!(options.quiet ?? false)) process.stdout.write(`${line}\n`);
  };
  const agent = new LocalAgent({
    cloud,
    name: `${flow.name} in process ${process.pid}`,
    labels: ownLabels(flow),
    flowGroupId: registered.flowGroupId,
    mode: options.mode ?? "thread",
    once: options.once ?? false,
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    ...(options.env === undefined ? {} : { env: options.env }),
    ...(options.requireSignedBy === undefined ? {} : { requireSignedBy: options.requireSignedBy }),
    log: say,
  });
  const drainMs = options.drainMs ?? DEFAULT_DRAIN_MS;
  let stops = 0;
  const stop = () => {
    stops += 1;
    say(
      stops === 1
        ? "Agent is stopping: runs under way are waited for. Ask again to stop at once."
        : "Agent stops at once.",
    );
    void agent.drain({ graceMs: stops === 1 ? drainMs : 0 });
  };
  const signals: NodeJS.Signals[] = (options.handleSignals ?? true) ? ["SIGINT", "SIGTERM"] : [];
  for (const signal of signals) process.on(signal, stop);
  options.signal?.addEventListener("abort", stop);
  try {
    if (options.signal?.aborted) return;
    say(
      `Agent for flow "${flow.name}" (version ${registered.version}) at ${cloud.url}, labels ${ownLabels(flow).join(", ")}`,
    );
    if (!(options.quiet ?? false)) warnOfLabels(flow, registered);
    await agent.run();
  } finally {
    for (const signal of signals) process.off(signal, stop);
    options.signal?.removeEventListener("abort", stop);
  }
}
