import { openCloud } from "./client/cloud-client.js";
import { resolveCloud } from "./client/config.js";
import type { FlowDefinition } from "./core/flow-definition.js";
import type { StorageOptions } from "./core/options/flow-storage.js";
import type { RunConfig } from "./core/options/run-config.js";
import { deployFlow } from "./deploy/deploy.js";
import { loadSigningKey } from "./storage/key-files.js";

/** Options of `flow.deploy()`; all of them optional. */
export interface DeployOptions {
  /** Make the project when the Cloud has none of that name. Default false. */
  createProject?: boolean;
  /** Further labels that an agent must carry. */
  labels?: readonly string[];
  /** Where the saved flow is kept. Default: the flow's own `storage`, and `new Local()` when it has none. */
  storage?: StorageOptions;
  /** How the flow's runs are to be run; see `runConfigs`. Default: the flow's own `runConfig`, and any agent when it has none. */
  runConfig?: RunConfig;
  /**
   * Signs the saved flow, for agents that take signed flows only: the path of an Ed25519 private key (PEM), or the PEM
   * itself. Default: it is not signed. `millrace create signing-key` makes a pair.
   */
  sign?: string;
  /** Told how far the saved flow has gone to its storage, and come back for the load check, in bytes. */
  onTransfer?: (sentBytes: number, totalBytes: number) => void;
  /** The Cloud's address and token. Default: `MILLRACE_API_URL` and `MILLRACE_API_TOKEN`, or what `millrace auth login` kept. */
  cloud?: CloudAddress;
  /** Print nothing. Default false. */
  quiet?: boolean;
}

/** Where a Cloud is, and who asks. */
export interface CloudAddress {
  url?: string;
  token?: string;
}

/** A flow as it is registered. */
export interface Deployment {
  readonly flowId: string;
  /** What all versions of the flow in its project share. */
  readonly flowGroupId: string;
  readonly flowName: string;
  readonly project: string;
  readonly version: number;
  /** False: the newest version is this very flow, and no version was made. */
  readonly created: boolean;
  readonly labels: readonly string[];
  readonly url: string;
  /** The saved flow's hash. */
  readonly hash: string;
}

export async function deployHere(flow: FlowDefinition, project: string, options: DeployOptions): Promise<Deployment> {
  const cloud = openCloud(resolveCloud(options.cloud ?? {}));
  try {
    const deployment = await deployFlow(flow, project, {
      cloud,
      createProject: options.createProject ?? false,
      labels: options.labels ?? [],
      ...(options.storage === undefined ? {} : { storage: options.storage }),
      ...(options.runConfig === undefined ? {} : { runConfig: options.runConfig }),
      ...(options.sign === undefined ? {} : { signingKey: await loadSigningKey(options.sign) }),
      ...(options.onTransfer === undefined ? {} : { onTransfer: options.onTransfer }),
    });
    const { flowId, flowGroupId, version, created, labels, url, hash } = deployment;
    if (!(options.quiet ?? false)) {
      const made = created ? "deployed" : "unchanged";
      process.stdout.write(
        `Flow "${flow.name}" ${made} in project "${project}"\n  id       ${flowId}\n  version  ${version}\n  labels   ${labels.join(", ")}\n  url      ${url}\n`,
      );
    }
    return { flowId, flowGroupId, flowName: flow.name, project, version, created, labels, url, hash };
  } finally {
    await cloud.close();
  }
}
