import type { WhyReason } from "../../client/wire.js";
import { agentTakes } from "../../core/labels.js";
import { agentsHeardOf, type WhyAgentRow, type WhyFlowRunRow } from "../../db/queries/why.js";
import { readLabelSlots } from "../limits/label-slots.js";
import { type ServerParts, toInstant } from "../parts.js";
import { limitReasons } from "./limit-reasons.js";
import { command, listed, reason } from "./reason.js";

/** An agent asks or renews its leases every 10 s at most; one not heard of for so long is not there. */
export const AGENT_SEEN_MS = 60_000;
/** Agents that are looked at, those heard of last. */
const MAX_AGENTS = 50;
/** A run that is due this long and that an agent with free threads may take is about to start. */
const ABOUT_TO_MS = 15_000;

/** Why a run that waits in the queue is not taken: by the rules of the queue itself, `agentTakes` and the labels' slots. */
export async function scheduledReasons(parts: ServerParts, tenantId: string, run: WhyFlowRunRow): Promise<WhyReason[]> {
  const { database, clock } = parts;
  const now = toInstant(clock.now());
  const reasons: WhyReason[] = [];
  if (run.state_start_time === null) return [reason("PAUSED_RUN", `It is ${run.state} until someone sets it going.`)];
  if (run.state_start_time > now && run.state !== "Queued") {
    reasons.push(
      reason("NOT_DUE", `It is due at ${run.state_start_time}.`, {
        fix: command("run", "--name", run.flow_name, "--project", run.project_name),
        details: { due_at: run.state_start_time },
      }),
    );
  }
  const labels = JSON.parse(run.labels) as string[];
  const slots = await readLabelSlots(database, tenantId);
  const full = slots?.full(labels) ?? [];
  if (full.length > 0) {
    reasons.push(...(await limitReasons(database, tenantId, { kind: "flow_label", names: full, who: "It waits" })));
  }
  if (run.engine === "prefect" && run.state === "Queued") {
    // Agents pass over it.
    const message = `Its own Python process waits for its turn, and asks again by ${run.state_start_time}; one that stays away is dead, and Lazarus has the run started again.`;
    return [...reasons, reason("NOT_HELD", message, { details: { asks_again_at: run.state_start_time } })];
  }
  await parts.presence.flush(database);
  const agents = await agentsHeardOf(database, tenantId, MAX_AGENTS);
  reasons.push(...agentReasons(parts, run, labels, agents));
  return reasons;
}

function agentReasons(
  { clock, events }: ServerParts,
  run: WhyFlowRunRow,
  labels: readonly string[],
  agents: readonly WhyAgentRow[],
): WhyReason[] {
  const fix = startCommand(run, labels);
  const here = agents.filter((agent) => clock.now() - Date.parse(agent.last_queried) <= AGENT_SEEN_MS);
  if (here.length === 0) {
    const last = agents[0];
    const when = last ? `agent "${last.name}" was heard of last, at ${last.last_queried}` : "none was ever registered";
    return [
      reason("NO_AGENT", `No agent is there: ${when}.`, { fix, details: { last_seen: last?.last_queried ?? null } }),
    ];
  }
  const verdicts = here.map((agent) => ({
    agent,
    verdict: verdictOn(agent, run, labels, events.flowGroupOf(agent.id)),
  }));
  const able = verdicts.filter(({ verdict }) => verdict === undefined).map(({ agent }) => agent);
  if (able.length === 0) return verdicts.flatMap(({ verdict }) => (verdict ? [{ ...verdict, fix }] : []));
  const names = able.map(({ name, held }) => `${name} (${held} ${held === 1 ? "run" : "runs"} under way)`);
  const details = { agents: able.map(({ id, name, held }) => ({ id, name, held })) };
  const dueForMs = clock.now() - Date.parse(run.state_start_time ?? "");
  if (dueForMs < 0) return [];
  return able.some(({ held }) => held === 0) || dueForMs < ABOUT_TO_MS
    ? [reason("ABOUT_TO_START", `An agent may take it, and asks within seconds: ${listed(names)}.`, { details })]
    : [reason("AGENTS_BUSY", `It waits for a free thread of ${listed(names)}.`, { fix, details })];
}

/** What keeps an agent from taking the run; undefined: nothing does. */
function verdictOn(
  agent: WhyAgentRow,
  run: WhyFlowRunRow,
  labels: readonly string[],
  flowGroupId: string | null,
): WhyReason | undefined {
  const own = JSON.parse(agent.labels) as string[];
  const facts = { agent_id: agent.id, agent: agent.name, agent_labels: own, run_labels: labels };
  const engine = agent.core_version === null ? "millrace" : "prefect";
  if (engine !== run.engine) {
    const whose =
      run.engine === "prefect" ? "a flow of Prefect's, which our agents" : "a flow of ours, which Prefect's agents";
    return reason("OTHER_ENGINE", `Agent "${agent.name}" cannot run it: it is ${whose} cannot load.`, {
      details: facts,
    });
  }
  if (!agentTakes(labels, own)) {
    const missing = labels.filter((label) => !own.includes(label));
    const why =
      labels.length === 0
        ? `the run has no labels, and goes to agents without labels only; this one has ${listed(own)}`
        : `it lacks ${missing.length === 1 ? "label" : "labels"} ${listed(missing)} of the run`;
    return reason("LABELS_DIFFER", `Agent "${agent.name}" does not take it: ${why}.`, {
      details: { ...facts, missing },
    });
  }
  if (flowGroupId !== null && flowGroupId !== run.flow_group_id) {
    return reason("OTHER_FLOW_ONLY", `Agent "${agent.name}" takes runs of another flow only.`, { details: facts });
  }
  return undefined;
}

/** An agent that takes runs with exactly these labels. */
function startCommand(run: WhyFlowRunRow, labels: readonly string[]): string {
  const options = labels.flatMap((label) => ["-l", label]);
  if (run.engine === "prefect") {
    return ["prefect agent local start --no-hostname-label", ...options].join(" ");
  }
  return command("agent", "start", "local", "--no-hostname-label", ...options);
}
