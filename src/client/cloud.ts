import type { FlowSignature } from "../codec/signature.js";
import type { WireState } from "../codec/state-json.js";
import type { LogLine } from "../core/context.js";
import type { FlowSpec } from "../core/flow-spec.js";
import type { RunConfig } from "../core/options/run-config.js";
import type { WireRunConfig } from "./serialize-run-config.js";

/** Who the Cloud takes a token for. */
export interface AuthInfo {
  tenantId: string;
  scope: string;
  name: string | null;
  keyId: string | null;
  /** ISO 8601; null: never. */
  expiresAt: string | null;
}

/** A token as the Cloud lists it; the token itself is kept nowhere. */
export interface ApiKey {
  id: string;
  name: string;
  scope: string;
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
}

/**
 * What Millrace asks of a Cloud. `cloud-client.ts` is the implementation that speaks GraphQL over HTTP; names here are
 * camelCase, the wire's snake_case ends in this folder.
 *
 * Every method may throw CLOUD_UNREACHABLE (after the retries of `retry.ts`), UNAUTHENTICATED, CLOUD_REFUSED, or the
 * Cloud's own code where its answer carries one that Millrace knows.
 */
export interface Cloud {
  readonly url: string;
  hello(): Promise<void>;
  /** @returns the project's id, or undefined */
  findProject(name: string): Promise<string | undefined>;
  /** Answers the existing project's id when there is one of that name. */
  createProject(name: string, description?: string): Promise<string>;
  createFlow(flow: NewFlow): Promise<CreatedFlow>;
  /** The newest version that is not archived. */
  latestFlow(project: string | undefined, name: string): Promise<RegisteredFlow | undefined>;
  flow(flowId: string): Promise<RegisteredFlow | undefined>;
  createFlowRun(run: NewFlowRun): Promise<string>;
  cancelFlowRun(flowRunId: string): Promise<string>;
  /** Lets a Paused task run go on. @throws STATE_REFUSED when it is not Paused */
  resumeTaskRun(taskRunId: string, facts: { input?: unknown }): Promise<void>;
  registerAgent(agent: { type: string; name: string; labels: readonly string[] }): Promise<string>;
  claimRuns(claim: Claim): Promise<ClaimAnswer>;
  renewLeases(
    agentId: string,
    leases: readonly Lease[],
    leaseMs: number,
  ): Promise<{ lost: string[]; cancelling: string[]; granted: string[] }>;
  releaseRuns(agentId: string, runs: readonly ReleasedRun[]): Promise<void>;
  /** Reports and, in the same round trip, claims more runs when `claim` is given. */
  reportStates(batch: ReportBatch, claim?: Claim): Promise<ReportAnswer>;
  /** Events until `signal` fires; reconnects by itself, and yields an event after each reconnect since some may have been missed. */
  agentEvents(agentId: string, flowGroupId: string | undefined, signal: AbortSignal): AsyncIterable<AgentEvent>;
  /** @param expiresAt An instant, ISO 8601; without one the key lasts until it is deleted, or as long as the caller's own. */
  createApiKey(name: string, scope?: string, expiresAt?: string): Promise<{ id: string; key: string }>;
  /** The oldest first. */
  listApiKeys(): Promise<ApiKey[]>;
  deleteApiKey(keyId: string): Promise<void>;
  /** Cached states that may stand for running a task of this flow version, or of any flow with its cache key; the newest first. */
  cachedStates(of: CacheQuestion): Promise<WireState[]>;
  /** The state of a flow run; undefined when there is no such run. */
  flowRunState(flowRunId: string): Promise<WireState | undefined>;
  authInfo(): Promise<AuthInfo>;
  /** Any document of the read API; for the command line. */
  query<T>(document: string, variables?: Record<string, unknown>): Promise<T>;
  close(): Promise<void>;
}

export interface NewFlow {
  projectId: string;
  spec: FlowSpec;
  specHash: string;
  storage: FlowStorage;
  labels: readonly string[];
  /** Default: universal. */
  runConfig?: RunConfig | WireRunConfig;
  threadOptions: ThreadOptions;
  /** Who vouches for the saved flow. */
  signature?: FlowSignature;
  idempotencyKey: string;
}
/** The `storage` column of a flow: Prefect's fields, and ours beside them. */
export interface FlowStorage {
  type: string;
  location: string;
  hash: string;
  /** For storage that is no disk: where it is. */
  place?: object;
}
export interface CreatedFlow {
  flowId: string;
  flowGroupId: string;
  version: number;
  /** False: the newest version is this very flow already. */
  created: boolean;
}
export interface RegisteredFlow {
  flowId: string;
  flowGroupId: string;
  name: string;
  version: number;
  projectName: string;
  archived: boolean;
  storage: FlowStorage;
  spec: FlowSpec;
  specHash: string;
  labels: string[];
  /** How its runs are to be run, unless the flow group or the run says otherwise. */
  runConfig: WireRunConfig | null;
  /** Options that the agent needs before it starts a thread. */
  threadOptions: ThreadOptions;
  signature?: FlowSignature;
}
export interface ThreadOptions {
  freshThread: boolean;
  maxHeapMb: number | null;
}
export interface NewFlowRun {
  flowId: string;
  parameters?: Record<string, unknown>;
  labels?: readonly string[];
  /** In place of the flow group's and the flow's. */
  runConfig?: RunConfig | WireRunConfig;
  name?: string;
  scheduledStartAt?: string;
  idempotencyKey?: string;
}

export interface Claim {
  agentId: string;
  labels: readonly string[];
  flowGroupId?: string;
  /** This run and no other, whatever its labels. */
  flowRunId?: string;
  limit: number;
  leaseMs: number;
  /** The same again when no answer came: what was given then is answered. */
  claimId?: string;
}
export interface ClaimAnswer {
  runs: ClaimedRun[];
  nextDueAt: string | null;
}
export interface Lease {
  flowRunId: string;
  fence: number;
}
/** A run given back: `state` ends it, `waits` leaves it Running until one of its task runs is due; otherwise it is Scheduled again. */
export interface ReleasedRun extends Lease {
  state?: WireState;
  waits?: boolean;
}
export interface ClaimedRun extends Lease {
  leaseExpiresAt: string;
  flowId: string;
  name: string;
  parameters: Record<string, unknown>;
  /** What the run was given besides its parameters; `date` re-bases the dates of the task context. */
  context?: Record<string, unknown> | null;
  /** How it is to be run, in Prefect's JSON; null: no word. */
  runConfig?: WireRunConfig | null;
  scheduledStartAt: string;
  timesResurrected: number;
  taskRuns: { taskRunId: string; taskSlug: string; mapIndex: number; version: number; state: WireState | null }[];
}

export interface ReportBatch {
  agentId: string;
  streamId: string;
  batch: number;
  runs: (Lease & { states: readonly StateReport[]; logs: readonly LogLine[] })[];
}
export interface StateReport {
  /** `name` is set where the author gave the task run one of its own. */
  taskRun?: { taskRunId: string; taskSlug: string; mapIndex: number; version: number; name?: string };
  state: WireState;
  at: string;
}
export interface ReportAnswer {
  refused: { flowRunId: string; code: string; message: string }[];
  cancelling: string[];
  /** Task runs that are Queued in place of Running: there was no slot. */
  queued: string[];
  /** Task runs that waited for a slot and have it. */
  granted: string[];
  claimed: ClaimAnswer | undefined;
}
export interface CacheQuestion {
  flowId: string;
  taskSlug: string;
  cacheKey: string | null;
  sinceAt: string;
}
export interface AgentEvent {
  runDue: boolean;
  cancelling: string[];
  /** Task runs of this agent that waited for a slot and have it. */
  granted: string[];
}
