import type { WhyNoRunsInput, WhyPayload, WhyReason } from "../../client/wire.js";
import { MillraceError } from "../../core/errors.js";
import { newestFlowsNamed, nextScheduledRun, type WhyFlowRow } from "../../db/queries/why.js";
import { type RequestContext, toInstant } from "../parts.js";
import { command, listed, reason } from "./reason.js";

/** Why a flow makes no runs by itself. @throws INPUT_INVALID */
export async function whyNoRuns({ flow: name, project }: WhyNoRunsInput, context: RequestContext): Promise<WhyPayload> {
  const { parts, caller } = context;
  const flows = await newestFlowsNamed(parts.database, caller.tenantId, name, project ?? null);
  const standing = flows.filter(({ archived }) => archived === 0);
  if (flows.length === 0) {
    const where = project ? ` in project "${project}"` : "";
    throw new MillraceError("FLOW_NOT_DEPLOYED", `There is no flow "${name}"${where}.`, {
      hint: "`millrace get flows` lists them.",
    });
  }
  if (standing.length > 1) {
    const projects = listed(standing.map((each) => each.project_name));
    throw new MillraceError("INPUT_INVALID", `There are ${standing.length} flows "${name}": in projects ${projects}.`, {
      hint: "Name the project.",
    });
  }
  const flow = standing[0] ?? flows[0]!;
  const next = await nextScheduledRun(parts.database, flow.id, toInstant(parts.clock.now()));
  return { name: flow.name, state: null, reasons: reasonsOf(flow, next) };
}

function reasonsOf(flow: WhyFlowRow, next: { name: string; scheduled_start_time: string } | undefined): WhyReason[] {
  const reasons: WhyReason[] = [];
  const runNow = command("run", "--name", flow.name, "--project", flow.project_name);
  const hasSchedule = isThere(flow.group_schedule) || isThere(flow.schedule);
  if (flow.archived !== 0)
    reasons.push(
      reason("FLOW_ARCHIVED", `Flow "${flow.name}" is archived: its newest version makes no runs. Deploy it again.`),
    );
  const missing = missingParameters(flow);
  // A schedule cannot be turned on before each required parameter has a value.
  if (hasSchedule && missing.length > 0) {
    const message = `A scheduled run would lack ${missing.length === 1 ? "parameter" : "parameters"} ${listed(missing)}, which the flow requires.`;
    reasons.push(reason("PARAMETERS_MISSING", message, { details: { missing } }));
  }
  if (!hasSchedule)
    reasons.push(
      reason("NO_SCHEDULE", `Flow "${flow.name}" has no schedule: it runs when someone asks.`, { fix: runNow }),
    );
  else if (flow.is_schedule_active === 0) {
    const fix = command("schedule", "on", "--name", flow.name, "--project", flow.project_name);
    reasons.push(
      reason(
        "SCHEDULE_INACTIVE",
        `The schedule of flow "${flow.name}" is not active.`,
        missing.length > 0 ? {} : { fix },
      ),
    );
  }
  if (flow.schedule_error !== null)
    reasons.push(reason("SCHEDULE_FAILED", `Its schedule makes no runs: ${flow.schedule_error}`));
  if (next) {
    const { scheduled_start_time: at, name } = next;
    reasons.push(
      reason("NEXT_RUN", `Its next run, "${name}", is due at ${at}.`, { details: { due_at: at, flow_run: name } }),
    );
  }
  return reasons;
}

const isThere = (json: string | null): boolean => json !== null && json !== "null" && json !== "{}";

function missingParameters({ parameters, default_parameters }: WhyFlowRow): string[] {
  const given = Object.keys((JSON.parse(default_parameters) ?? {}) as Record<string, unknown>);
  const declared = (JSON.parse(parameters) ?? []) as { name: string; required?: boolean }[];
  return declared.filter(({ name, required }) => required === true && !given.includes(name)).map(({ name }) => name);
}
