import type { WhyReason } from "../../client/wire.js";
import { isTerminal, stateTypes } from "../../core/state.js";
import { findAgent } from "../../db/queries/agents.js";
import { grantedTaskRuns, limitsOf } from "../../db/queries/limits.js";
import {
  countTaskRunsInStates,
  taskRunsInStates,
  unfinishedAbove,
  type WhyFlowRunRow,
  type WhyTaskRunRow,
} from "../../db/queries/why.js";
import type { ServerParts } from "../parts.js";
import { limitReasons } from "./limit-reasons.js";
import { command, listed, reason } from "./reason.js";

/** Task runs of each kind that are looked at; the rest is counted. */
const MAX_SHOWN = 20;
const ENDED = stateTypes.filter((type) => isTerminal({ type }));

/** How a run under way stands: what its task runs wait for, and who has it. */
export async function runningReasons(parts: ServerParts, tenantId: string, run: WhyFlowRunRow): Promise<WhyReason[]> {
  return [
    ...(await queuedReasons(parts, tenantId, run)),
    ...(await pausedReasons(parts, run)),
    ...(await retryReasons(parts, run)),
    ...(await underWayReasons(parts, run)),
    ...(await holderReasons(parts, tenantId, run)),
  ];
}

async function queuedReasons({ database }: ServerParts, tenantId: string, run: WhyFlowRunRow): Promise<WhyReason[]> {
  const all = (await countTaskRunsInStates(database, run.id, ["Queued"])).get("Queued") ?? 0;
  if (all === 0) return [];
  // Who has its slots is Queued until its agent begins it, in a moment.
  const granted = new Set(await grantedTaskRuns(database, [run.id]));
  const count = all - granted.size;
  if (count <= 0) return [reason("STARTING", `Task runs that waited have their slots, and begin in a moment.`)];
  const queued = (await taskRunsInStates(database, run.id, ["Queued"], MAX_SHOWN + granted.size)).filter(
    ({ id }) => !granted.has(id),
  );
  const limited = new Set(
    (await limitsOf(database, tenantId)).filter(({ kind }) => kind === "task_tag").map(({ name }) => name),
  );
  const tags = [...new Set(queued.flatMap((each) => JSON.parse(each.tags) as string[]))].filter((tag) =>
    limited.has(tag),
  );
  const who = count === 1 ? `Task run "${nameOf(queued[0]!)}" waits` : `${count} task runs wait`;
  return limitReasons(database, tenantId, { kind: "task_tag", names: tags, who });
}

async function pausedReasons({ database }: ServerParts, run: WhyFlowRunRow): Promise<WhyReason[]> {
  const paused = await taskRunsInStates(database, run.id, ["Paused"], MAX_SHOWN);
  return paused.map((each) => {
    const until = each.state_start_time === null ? "until someone resumes it" : `until ${each.state_start_time}`;
    const message = `Task run "${nameOf(each)}" is Paused since ${each.state_timestamp}, ${until}.`;
    return reason("TASK_PAUSED", message, {
      fix: command("resume", run.id, "--task", slugOf(each)),
      details: detailsOf(each),
    });
  });
}

async function retryReasons({ database }: ServerParts, run: WhyFlowRunRow): Promise<WhyReason[]> {
  const retrying = await taskRunsInStates(database, run.id, ["Retrying"], MAX_SHOWN);
  return retrying.map((each) =>
    reason("TASK_RETRYING", `Task run "${nameOf(each)}" is tried again at ${each.state_start_time}.`, {
      details: detailsOf(each),
    }),
  );
}

async function underWayReasons({ database }: ServerParts, run: WhyFlowRunRow): Promise<WhyReason[]> {
  const reasons: WhyReason[] = [];
  const running = await taskRunsInStates(database, run.id, ["Running"], MAX_SHOWN);
  if (running.length > 0) {
    const since = running[0]!.state_timestamp;
    const what = running.length === 1 ? "Task run" : "Task runs";
    reasons.push(
      reason(
        "TASKS_RUNNING",
        `${what} ${listed(running.map(nameOf))} ${running.length === 1 ? "is" : "are"} Running, the first since ${since}.`,
        {
          details: { task_runs: running.map(detailsOf) },
        },
      ),
    );
  }
  const pending = await taskRunsInStates(database, run.id, ["none", "Pending"], MAX_SHOWN);
  if (pending.length === 0) return reasons;
  const above = await unfinishedAbove(database, run.id, [...new Set(pending.map((each) => each.task_id))], ENDED);
  for (const each of pending) {
    const names = [...new Set(above.filter((edge) => edge.task_id === each.task_id).map((edge) => edge.above))];
    if (names.length === 0) continue;
    reasons.push(
      reason("UPSTREAM_NOT_FINISHED", `Task run "${nameOf(each)}" waits for ${listed(names)}.`, {
        details: { ...detailsOf(each), upstream: names },
      }),
    );
  }
  return reasons;
}

/** Who has the run, and when it was last heard of. */
export async function holderReasons(parts: ServerParts, tenantId: string, run: WhyFlowRunRow): Promise<WhyReason[]> {
  const { lease_agent_id: agentId, lease_expires_at: until, heartbeat } = run;
  const details = { agent_id: agentId, lease_expires_at: until, heartbeat };
  if (agentId === null) {
    const heard = heartbeat === null ? "it was never heard of" : `it was heard of last at ${heartbeat}`;
    const message =
      run.engine === "prefect"
        ? `A process of Prefect's has it; ${heard}.`
        : "No agent holds it: it was given back, and is taken again when one of its tasks may go on.";
    return [reason("NOT_HELD", message, { details })];
  }
  const agent = await findAgent(parts.database, tenantId, agentId);
  const message = `Agent "${agent?.name ?? agentId}" holds it until ${until}, and was heard of last at ${heartbeat}.`;
  return [reason("HELD", message, { details: { ...details, agent: agent?.name ?? null } })];
}

function nameOf({ name, task_name, map_index }: WhyTaskRunRow): string {
  return name ?? (map_index < 0 ? task_name : `${task_name}[${map_index}]`);
}

/** As `millrace resume --task` takes it. */
function slugOf({ task_slug, map_index }: WhyTaskRunRow): string {
  return map_index < 0 ? task_slug : `${task_slug}[${map_index}]`;
}

function detailsOf(each: WhyTaskRunRow) {
  return {
    task_run_id: each.id,
    task_run: nameOf(each),
    state: each.state,
    since: each.state_timestamp,
    due_at: each.state_start_time,
  };
}
