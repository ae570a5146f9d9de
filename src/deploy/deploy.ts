import type { Cloud } from "../client/cloud.js";
import type { WireRunConfig } from "../client/serialize-run-config.js";
import { type SigningKey, signFlow } from "../codec/signature.js";
import { MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { hashFlowSpec, sha256 } from "../core/flow-spec.js";
import { normalizeLabels } from "../core/labels.js";
import type { RunConfig } from "../core/options/run-config.js";
import { diffSpecs, taskIdsChanged } from "../core/spec-diff.js";
import { NOT_DETERMINISTIC } from "../execute/check-task-ids.js";
import { checkDeployedSchedule } from "../schedule/check-schedule.js";
import type { StorageLocation } from "../storage/storage.js";
import { describeInThread } from "./describe-in-thread.js";
import { type SaveOptions, type StoredFlow, saveModule, storeFlow } from "./save.js";

export interface DeployFlowOptions extends Omit<SaveOptions, "path"> {
  cloud: Cloud;
  /** Make the project when the Cloud has none of that name. Default false. */
  createProject?: boolean;
  /** Further labels that an agent must carry. */
  labels?: readonly string[];
  /** How the flow's runs are to be run. Default: the flow's own, and universal when it has none. */
  runConfig?: RunConfig | WireRunConfig;
  /** Vouches for the saved flow, for agents that take signed flows only. */
  signingKey?: SigningKey;
  /** Told as each part begins. */
  onProgress?: (part: "save" | "load check" | "register") => void;
}

/** A flow as it is registered. */
export interface Deployment {
  flowId: string;
  /** What all versions of the flow in its project share. */
  flowGroupId: string;
  flowName: string;
  version: number;
  /** False: the newest version is this very flow, and no version was made. */
  created: boolean;
  labels: string[];
  url: string;
  /** The saved flow's hash. */
  hash: string;
  savedFlow: StorageLocation;
}

/**
 * Saves the flow, loads what was saved in a clean thread, and registers it.
 * @throws what saveFlow throws, SCHEDULE_INVALID, TASK_IDS_CHANGED, PROJECT_NOT_FOUND, and what the Cloud's client throws
 */
export async function deployFlow(
  flow: FlowDefinition,
  project: string,
  options: DeployFlowOptions,
): Promise<Deployment> {
  options.onProgress?.("save");
  const stored = await storeFlow(flow, options);
  return deployStored(stored, project, options);
}

/** The same for the flows of a file, which is not loaded in this thread. */
export async function deployModule(
  file: string,
  project: string,
  options: DeployFlowOptions & { flowName?: string },
): Promise<Deployment[]> {
  options.onProgress?.("save");
  const deployments: Deployment[] = [];
  for (const stored of await saveModule(file, options.flowName, options))
    deployments.push(await deployStored(stored, project, options));
  return deployments;
}

async function deployStored(stored: StoredFlow, project: string, options: DeployFlowOptions): Promise<Deployment> {
  const { cloud, onProgress } = options;
  const { manifest, hash, location, storage } = stored;
  checkDeployedSchedule(manifest.spec);
  onProgress?.("load check");
  await checkThatItLoads(stored, options);
  onProgress?.("register");
  const flowName = manifest.spec.name;
  // A Local flow is on this machine's disk, and its flow's own agent takes it by the flow's name.
  const runConfig = options.runConfig ?? stored.runConfig ?? undefined;
  const labels = normalizeLabels([
    ...storage.labels,
    ...(runConfig?.labels ?? []),
    ...(storage.type === "Local" ? [flowName] : []),
    ...(options.labels ?? []),
  ]);
  const projectId = await findOrMakeProject(cloud, project, options.createProject ?? false);
  const { signingKey } = options;
  // Ed25519 signs alike each time: an unchanged flow stays unchanged.
  const signature = signingKey === undefined ? {} : { signature: signFlow(flowName, hash, signingKey) };
  const { flowId, flowGroupId, version, created } = await cloud.createFlow({
    projectId,
    spec: manifest.spec,
    specHash: manifest.specHash,
    storage: { ...location },
    labels,
    ...(runConfig === undefined ? {} : { runConfig }),
    threadOptions: { freshThread: manifest.options.freshThread, maxHeapMb: manifest.options.maxHeapMb },
    ...signature,
    // The same code for other labels or another run config, found again elsewhere after its file was deleted, or signed by another, has to be
    // registered anew.
    idempotencyKey: sha256(
      JSON.stringify([hash, location, labels, ...Object.values(signature), ...(runConfig ? [{ runConfig }] : [])]),
    ),
  });
  return {
    flowId,
    flowGroupId,
    flowName,
    version,
    created,
    labels,
    url: flowUrl(cloud, flowId),
    hash,
    savedFlow: location,
  };
}

/** The file is fetched and loaded as an agent will: a flow that cannot be loaded, or is another each time, is found now. */
async function checkThatItLoads(
  { manifest, hash, location, storage }: StoredFlow,
  options: DeployFlowOptions,
): Promise<void> {
  const savedFlowFile = await storage.fetch(location, options.onTransfer ? { onProgress: options.onTransfer } : {});
  const [described] = await describeInThread({ savedFlowFile, savedFlowHash: hash }, options);
  const { spec } = described!;
  if (hashFlowSpec(spec) === manifest.specHash) return;
  throw taskIdsChanged(
    spec.name,
    { label: "the saved flow", spec: manifest.spec },
    { label: "its code, loaded again", spec },
    diffSpecs(manifest.spec, spec),
    NOT_DETERMINISTIC,
  );
}

async function findOrMakeProject(cloud: Cloud, project: string, create: boolean): Promise<string> {
  const found = await cloud.findProject(project);
  if (found !== undefined) return found;
  if (create) return cloud.createProject(project);
  throw new MillraceError("PROJECT_NOT_FOUND", `There is no project "${project}" at ${cloud.url}.`, {
    hint: `Pass { createProject: true }, or run \`millrace create project "${project}"\`.`,
  });
}

/** The flow's page in the Cloud's dashboard. */
function flowUrl(cloud: Cloud, flowId: string): string {
  return new URL(`/flow/${flowId}`, cloud.url).href;
}
