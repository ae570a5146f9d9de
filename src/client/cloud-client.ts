import type { WireState } from "../codec/state-json.js";
import { isMillraceError, MillraceError } from "../core/errors.js";
import { newId } from "../core/ids.js";
import type { Claim, Cloud, NewFlowRun, ReportAnswer, ReportBatch } from "./cloud.js";
import type { WireError } from "./cloud-error.js";
import { normalizeUrl } from "./config.js";
import { documents, type Operation } from "./documents.js";
import { type Http, openHttp } from "./http.js";
import { toRegisteredFlow, toSerializedFlow } from "./serialize-flow.js";
import { toWireRunConfig } from "./serialize-run-config.js";
import { agentEvents } from "./subscribe.js";
import type { CreateFlowRunInput } from "./wire.js";
import { toClaimAnswer, toReportAnswer, toWireClaim, toWireLease, toWireReport } from "./wire-runs.js";

export interface OpenCloudOptions {
  /** The Cloud's address; `/graphql` below it is the API. */
  url: string;
  /** A USER token. Without one only a Cloud that asks for none answers. */
  token?: string;
  /** Used for every request in place of our own keep-alive connections, for instance behind a proxy. */
  fetch?: typeof globalThis.fetch;
  /** How often a request is tried in all while the Cloud does not answer. Default 6, which is over within 10 s. */
  tries?: number;
  /** How long one try may take, in milliseconds. Default 15,000. */
  timeoutMs?: number;
}

/**
 * The Cloud at an address. Nothing is sent yet; `close()` gives the connections back.
 * @throws INPUT_INVALID for an address that is none
 * @example
 * const cloud = openCloud(resolveCloud());
 * try {
 *   await cloud.hello();
 * } finally {
 *   await cloud.close();
 * }
 */
export function openCloud(options: OpenCloudOptions): Cloud {
  const url = normalizeUrl(options.url, "The Cloud's address");
  const http = openHttp({
    url,
    token: options.token,
    fetch: options.fetch,
    tries: options.tries,
    timeoutMs: options.timeoutMs,
  });
  return {
    url,
    ...accessSide(http),
    ...authorSide(http),
    ...agentSide(http, url),
    query<T>(document: string, variables: Record<string, unknown> = {}) {
      const operation: Operation<T, Record<string, unknown>> = { name: "a query", text: document, repeatable: true };
      return http.request(operation, variables);
    },
    close: () => http.close(),
  };
}

type AccessSide = Pick<Cloud, "hello" | "authInfo" | "createApiKey" | "listApiKeys" | "deleteApiKey">;

function accessSide(http: Http): AccessSide {
  return {
    async hello() {
      await http.request(documents.hello, {});
    },
    async authInfo() {
      const { auth_info } = await http.request(documents.authInfo, {});
      const { tenant_id, scope, name, key_id, expires_at } = auth_info;
      return { tenantId: tenant_id ?? "", scope: scope ?? "", name, keyId: key_id, expiresAt: expires_at };
    },
    async createApiKey(name, scope, expiresAt) {
      const input = {
        name,
        ...(scope === undefined ? {} : { scope }),
        ...(expiresAt === undefined ? {} : { expires_at: expiresAt }),
      };
      return (await http.request(documents.createApiKey, { input })).create_api_key;
    },
    async listApiKeys() {
      const { auth_api_key } = await http.request(documents.apiKeys, {});
      return auth_api_key.map(({ id, name, scope, created, expires_at, last_used }) => ({
        id,
        name,
        scope,
        createdAt: created,
        expiresAt: expires_at,
        lastUsedAt: last_used,
      }));
    },
    async deleteApiKey(keyId) {
      await http.request(documents.deleteApiKey, { input: { key_id: keyId } });
    },
  };
}

type AuthorSide = Pick<
  Cloud,
  | "findProject"
  | "createProject"
  | "createFlow"
  | "latestFlow"
  | "flow"
  | "createFlowRun"
  | "cancelFlowRun"
  | "resumeTaskRun"
>;

function authorSide(http: Http): AuthorSide {
  const findProject = async (name: string) => (await http.request(documents.findProject, { name })).project[0]?.id;
  return {
    findProject,
    async createProject(name, description) {
      const input = { name, ...(description === undefined ? {} : { description }) };
      try {
        return (await http.request(documents.createProject, { input })).create_project.id;
      } catch (error) {
        if (!isMillraceError(error) || !error.message.includes("Uniqueness violation")) throw error;
        const existing = await findProject(name);
        if (existing === undefined) throw error;
        return existing;
      }
    },
    async createFlow(flow) {
      const input = {
        project_id: flow.projectId,
        serialized_flow: toSerializedFlow(flow),
        idempotency_key: flow.idempotencyKey,
      };
      const { create_flow } = await http.request(documents.createFlow, { input });
      const { id, flow_group_id, version, created } = create_flow;
      return { flowId: id, flowGroupId: flow_group_id, version, created };
    },
    async latestFlow(project, name) {
      const { flow } = await http.request(documents.latestFlow, { name, project: project ?? null });
      return flow[0] && toRegisteredFlow(flow[0]);
    },
    async flow(flowId) {
      const { flow_by_pk } = await http.request(documents.flow, { id: flowId });
      return flow_by_pk ? toRegisteredFlow(flow_by_pk) : undefined;
    },
    async createFlowRun(run) {
      const { create_flow_run } = await http.request(documents.createFlowRun, { input: toNewFlowRun(run) });
      return create_flow_run.id;
    },
    async cancelFlowRun(flowRunId) {
      const { cancel_flow_run } = await http.request(documents.cancelFlowRun, { input: { flow_run_id: flowRunId } });
      return cancel_flow_run.state;
    },
    async resumeTaskRun(taskRunId, facts) {
      await http.request(documents.resumeTaskRun, { input: { task_run_id: taskRunId, ...facts } });
    },
  };
}

type AgentSide = Pick<
  Cloud,
  | "registerAgent"
  | "claimRuns"
  | "renewLeases"
  | "releaseRuns"
  | "reportStates"
  | "agentEvents"
  | "cachedStates"
  | "flowRunState"
>;

function agentSide(http: Http, url: string): AgentSide {
  return {
    async registerAgent(agent) {
      return (await http.request(documents.registerAgent, { input: { ...agent, labels: [...agent.labels] } }))
        .register_agent.id;
    },
    async claimRuns(claim) {
      return toClaimAnswer((await http.request(documents.claimRuns, { input: toWireClaim(claim) })).claim_runs);
    },
    async renewLeases(agentId, leases, leaseMs) {
      const input = { agent_id: agentId, leases: leases.map(toWireLease), lease_ms: leaseMs };
      return (await http.request(documents.renewLeases, { input })).renew_leases;
    },
    async releaseRuns(agentId, runs) {
      const input = {
        agent_id: agentId,
        runs: runs.map(({ state, waits, ...lease }) => ({
          ...toWireLease(lease),
          ...(state === undefined ? {} : { state }),
          ...(waits === undefined ? {} : { waits }),
        })),
      };
      const { success, error } = (await http.request(documents.releaseRuns, { input })).release_runs;
      if (!success)
        throw new MillraceError(
          "CLOUD_REFUSED",
          `The Cloud at ${url} refused release_runs: ${error ?? "no reason given"}.`,
        );
    },
    async cachedStates({ flowId, taskSlug, cacheKey, sinceAt }) {
      const input = { flow_id: flowId, task_slug: taskSlug, cache_key: cacheKey, since: sinceAt };
      return (await http.request(documents.cachedStates, { input })).cached_states as WireState[];
    },
    async flowRunState(flowRunId) {
      const { flow_run_by_pk } = await http.request(documents.flowRunState, { id: flowRunId });
      return (flow_run_by_pk?.serialized_state ?? undefined) as WireState | undefined;
    },
    reportStates: (batch, claim) => reportStates(http, batch, claim),
    agentEvents: (agentId, flowGroupId, signal) => agentEvents(http, { agentId, flowGroupId, signal, url }),
  };
}

async function reportStates(http: Http, batch: ReportBatch, claim: Claim | undefined): Promise<ReportAnswer> {
  const report = toWireReport(batch);
  if (!claim)
    return toReportAnswer((await http.request(documents.reportStates, { input: report })).report_states, undefined);
  try {
    const { report_states, claim_runs } = await http.request(documents.reportAndClaim, {
      report,
      claim: toWireClaim(claim),
    });
    return toReportAnswer(report_states, claim_runs);
  } catch (error) {
    if (!isRefusedClaim(error)) throw error;
    // The reports were taken, and only the claim failed: the same batch again answers what was judged.
    return toReportAnswer((await http.request(documents.reportStates, { input: report })).report_states, undefined);
  }
}

function isRefusedClaim(error: unknown): boolean {
  if (!isMillraceError(error) || !Array.isArray(error.cause)) return false;
  return (error.cause as WireError[]).every((each) => each.path?.[0] === "claim_runs");
}

/** Without a key of the caller's own one is made, so that a request whose answer was lost can be sent again. */
function toNewFlowRun(run: NewFlowRun): CreateFlowRunInput {
  return {
    flow_id: run.flowId,
    idempotency_key: run.idempotencyKey ?? newId(),
    parameters: run.parameters,
    ...(run.labels === undefined ? {} : { labels: [...run.labels] }),
    ...(run.runConfig === undefined ? {} : { run_config: toWireRunConfig(run.runConfig) }),
    flow_run_name: run.name,
    scheduled_start_time: run.scheduledStartAt,
  };
}
