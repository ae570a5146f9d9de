import type { ClaimedRun, ClaimRunsInput, ClaimRunsPayload } from "../../client/wire.js";
import type { WireState } from "../../codec/state-json.js";
import { MAX_CLAIM } from "../../core/claim-limit.js";
import { MillraceError } from "../../core/errors.js";
import { normalizeLabels } from "../../core/labels.js";
import { type AgentRow, findAgent, keepAgent } from "../../db/queries/agents.js";
import { runsOfClaim } from "../../db/queries/claim.js";
import { type FlowRunRow, type GivenRow, givenOfFlowRuns, lockFreeFlowRuns } from "../../db/queries/flow-runs.js";
import { type ClaimedTaskRunRow, claimedTaskRuns } from "../../db/queries/task-runs.js";
import { type RequestContext, toInstant } from "../parts.js";
import { moveFlowRun } from "../states/apply-state.js";
import { type Ledger, readFlowRuns, withLedger } from "../states/ledger.js";
import { type QueueQuestion, readQueue } from "../states/queue.js";
import { readOneOfQueue } from "../states/queue-by-id.js";

const MIN_LEASE_MS = 100;
const MAX_LEASE_MS = 24 * 60 * 60 * 1000;

/** How often a claim looks again because others were taking what it had found. */
const MAX_LOOKS = 5;

/** Gives due runs to the asking agent: what it locks no other claim finds, here or in another server, so no run is given twice. */
export async function claimRuns(input: ClaimRunsInput, context: RequestContext): Promise<ClaimRunsPayload> {
  checkLeaseMs(input.lease_ms);
  if (input.limit < 0 || input.limit > MAX_CLAIM) {
    throw new MillraceError("INPUT_INVALID", `claim_runs: \`limit\` must be 0 to ${MAX_CLAIM}, and is ${input.limit}.`);
  }
  const answer = await claimOnce(input, context, { inTurn: false, isFirst: true });
  // There may be more: the agent asks again.
  if (answer.again) return { runs: answer.runs, next_due_at: toInstant(context.parts.clock.now()) };
  // Each time some have ended that cannot be claimed, so that the next look finds others in their place; or someone else had
  // them, and then the next look waits for its turn.
  for (let looks = 1; answer.runs.length < input.limit && mayFindMore(answer, looks); looks++) {
    const rest = { ...input, limit: input.limit - answer.runs.length };
    const more = await claimOnce(rest, context, { inTurn: answer.missed > 0, isFirst: false });
    answer.runs.push(...more.runs);
    answer.nextDueAt = more.nextDueAt;
    answer.ended = more.ended;
    answer.missed = more.missed;
  }
  context.parts.counts.claims += answer.runs.length;
  return { runs: answer.runs, next_due_at: answer.nextDueAt };
}

function mayFindMore({ ended, missed }: Claims, looks: number): boolean {
  return ended > 0 || (missed > 0 && looks < MAX_LOOKS);
}

interface Claims {
  runs: ClaimedRun[];
  /** How many runs could not be claimed, and have ended. */
  ended: number;
  /** How many runs others were taking just then. */
  missed: number;
}

interface Look extends Claims {
  nextDueAt: string | null;
  /** Is this what was given under the claim's id before? */
  again?: boolean;
}

function claimOnce(
  input: ClaimRunsInput,
  { parts, caller }: RequestContext,
  { inTurn, isFirst }: { inTurn: boolean; isFirst: boolean },
): Promise<Look> {
  const now = parts.clock.now();
  const question: QueueQuestion = {
    tenantId: caller.tenantId,
    // Of Prefect's flows our agents can read nothing, whatever their labels.
    engine: "millrace",
    labels: normalizeLabels(input.labels),
    flowGroupId: input.flow_group_id ?? null,
    before: toInstant(now),
    limit: input.limit,
  };
  // Also an idle agent's poll looks in a transaction: begun and ended without a write it costs 20 µs, less than the pages
  // that another connection would have to read anew after each commit.
  return withLedger(parts, { tenantId: caller.tenantId, agentId: input.agent_id }, async (ledger) => {
    const agent = await findAgent(ledger.transaction, caller.tenantId, input.agent_id);
    if (!agent) throw agentUnknown(input.agent_id);
    parts.presence.agentSeen(caller.tenantId, agent.id, ledger.now);
    const expiresAt = toInstant(now + input.lease_ms);
    if (isFirst && input.claim_id) {
      const of = { claimId: input.claim_id, flowRunId: input.flow_run_id };
      const runs = await claimedBefore(ledger, agent, of, expiresAt);
      if (runs) return { runs, ended: 0, missed: 0, nextDueAt: null, again: true };
    }
    if (inTurn) await ledger.transaction.lock(`claims ${caller.tenantId}`);
    const { ids, nextDueAt } = input.flow_run_id
      ? await readOneOfQueue(ledger.transaction, question, input.flow_run_id)
      : await readQueue(ledger.transaction, question);
    if (ids.length === 0) return { runs: [], ended: 0, missed: 0, nextDueAt };
    // Deleted since it was found, it would be named by a lease and be nobody.
    if (!(await keepAgent(ledger.transaction, caller.tenantId, agent.id))) throw agentUnknown(agent.id);
    return { ...(await claim(ledger, ids, agent, { expiresAt, claimId: input.claim_id ?? null })), nextDueAt };
  });
}

/**
 * What was given under a claim's id before, as far as the agent still holds it: its answer was lost. The leases begin anew.
 * Undefined: nothing was, and the claim is made now.
 */
async function claimedBefore(
  ledger: Ledger,
  agent: AgentRow,
  { claimId, flowRunId }: { claimId: string; flowRunId: string | null | undefined },
  expiresAt: string,
): Promise<ClaimedRun[] | undefined> {
  const { transaction, tenantId } = ledger;
  const ofClaim = await runsOfClaim(transaction, { tenantId, agentId: agent.id, claimId });
  const known = flowRunId ? ofClaim.filter((id) => id === flowRunId) : ofClaim;
  if (known.length === 0) return undefined;
  await readFlowRuns(ledger, known);
  const held = [...ledger.flowRuns.values()].filter((run) => run.lease_agent_id === agent.id);
  for (const run of held) {
    run.lease_expires_at = expiresAt;
    run.heartbeat = ledger.now;
    ledger.changedFlowRuns.add(run);
  }
  return toClaimedRuns(ledger, held, expiresAt);
}

async function toClaimedRuns(ledger: Ledger, runs: readonly FlowRunRow[], expiresAt: string): Promise<ClaimedRun[]> {
  const ids = idsOf(runs);
  const given = new Map((await givenOfFlowRuns(ledger.transaction, ids)).map((row) => [row.id, row]));
  const taskRuns = Map.groupBy(await claimedTaskRuns(ledger.transaction, ids), (each) => each.flow_run_id);
  return runs.map((run) => toClaimedRun(run, given.get(run.id)!, taskRuns.get(run.id) ?? [], expiresAt));
}

async function claim(
  ledger: Ledger,
  ids: readonly string[],
  agent: AgentRow,
  { expiresAt, claimId }: { expiresAt: string; claimId: string | null },
): Promise<Claims> {
  const free = await lockFreeFlowRuns(ledger.transaction, ledger.tenantId, ids);
  for (const run of free) ledger.flowRuns.set(run.id, run);
  const taken: FlowRunRow[] = [];
  let ended = 0;
  for (const id of ids) {
    const run = ledger.flowRuns.get(id);
    if (!run) continue;
    const before = parseJson(run.serialized_state) as WireState | null;
    const submitted = { type: "Submitted", message: "Submitted for execution", ...(before ? { state: before } : {}) };
    const refused = await moveFlowRun(ledger, run, { state: submitted, at: ledger.now });
    if (refused) {
      // Left in the queue it would stand in the way of those behind it for ever.
      const failed = { type: "Failed", message: `No agent can take this run. ${refused.message}` };
      if ((await moveFlowRun(ledger, run, { state: failed, at: ledger.now })) === null) ended += 1;
      continue;
    }
    run.fence += 1;
    run.agent_id = agent.id;
    run.lease_agent_id = agent.id;
    run.claim_id = claimId;
    run.lease_expires_at = expiresAt;
    run.heartbeat = ledger.now;
    taken.push(run);
  }
  return { runs: await toClaimedRuns(ledger, taken, expiresAt), ended, missed: ids.length - free.length };
}

function toClaimedRun(
  run: FlowRunRow,
  given: GivenRow,
  taskRuns: readonly ClaimedTaskRunRow[],
  expiresAt: string,
): ClaimedRun {
  return {
    flow_run_id: run.id,
    fence: run.fence,
    lease_expires_at: expiresAt,
    flow_id: run.flow_id,
    name: run.name,
    parameters: parseJson(given.parameters),
    context: parseJson(given.context),
    run_config: parseJson(given.run_config),
    scheduled_start_time: run.scheduled_start_time,
    times_resurrected: run.times_resurrected,
    task_runs: taskRuns.map((each) => ({
      id: each.id,
      task_slug: each.task_slug,
      map_index: each.map_index,
      version: each.version,
      serialized_state: parseJson(each.serialized_state),
    })),
  };
}

const idsOf = (runs: readonly FlowRunRow[]): string[] => runs.map(({ id }) => id);

function parseJson(text: string | null): unknown {
  return text === null ? null : JSON.parse(text);
}

export function agentUnknown(agentId: string): MillraceError {
  return new MillraceError("INPUT_INVALID", `There is no agent "${agentId}".`, {
    hint: "Register it with register_agent.",
  });
}

/** Shared by all that give out leases. @throws INPUT_INVALID */
export function checkLeaseMs(leaseMs: number): void {
  if (leaseMs >= MIN_LEASE_MS && leaseMs <= MAX_LEASE_MS) return;
  throw new MillraceError(
    "INPUT_INVALID",
    `\`lease_ms\` must be ${MIN_LEASE_MS} to ${MAX_LEASE_MS}, and is ${leaseMs}.`,
  );
}
