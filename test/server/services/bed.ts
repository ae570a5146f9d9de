import type { Schedule } from "../../../src/core/schedule/schedule.js";
import { schedules } from "../../../src/core/schedule/schedules.js";
import { toSerializedSchedule } from "../../../src/schedule/serialized-schedule.js";
import type { ServiceOptions } from "../../../src/server/services/services.js";
import { type FlowShape, HandClock, serializedFlow, startTestCloud, type TestCloud } from "../../helpers/server.js";

export const SECOND = 1_000;
export const MINUTE = 60 * SECOND;
export const HOUR = 60 * MINUTE;
export const DAY = 24 * HOUR;

type Test = Parameters<typeof startTestCloud>[0];

/** A Cloud under a clock of the test's own, and how to lay it down and start it again. */
export async function bed(t: Test, services: ServiceOptions = {}) {
  const clock = new HandClock();
  const cloud = await startTestCloud(t, { clock, services });
  // As long as a round may be without the server seeming to have slept.
  const letPass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 5 * SECOND) {
      clock.forward(Math.min(left, 5 * SECOND));
      await cloud.server.tick();
    }
  };
  return { clock, cloud, letPass };
}

/** The Cloud is down for so long, and then started again on the same database. */
export async function downFor(
  t: Test,
  { cloud, clock, ms, services = {} }: { cloud: TestCloud; clock: HandClock; ms: number; services?: ServiceOptions },
): Promise<TestCloud> {
  await cloud.server.close();
  clock.forward(ms);
  const again = await startTestCloud(t, { clock, services, database: cloud.file });
  await again.server.tick();
  return { ...again, token: cloud.token };
}

/** Minutes after the hand clock's start, every so many. */
export const everyMinutes = (minutes: number, options: Partial<Schedule> = {}): Schedule => ({
  ...schedules.interval({ everyMs: minutes * MINUTE }),
  ...options,
});

/** Registers a flow with a schedule, as a deploy does. */
export async function deployScheduled(
  cloud: TestCloud,
  schedule: Schedule | Record<string, unknown>,
  shape: FlowShape = {},
): Promise<{ flowId: string; flowGroupId: string }> {
  const [known] = await cloud.rows<{ id: string }>("SELECT id FROM project LIMIT 1");
  const projectId = known?.id ?? (await cloud.call("create_project", { name: "Sales" })).id;
  const own = "clocks" in schedule && !("filters" in schedule && "__version__" in schedule);
  const serialized = own ? toSerializedSchedule(schedule as Schedule) : schedule;
  const { id, flow_group_id } = await cloud.call("create_flow", {
    project_id: projectId,
    serialized_flow: { ...serializedFlow(shape), schedule: serialized },
  });
  return { flowId: id, flowGroupId: flow_group_id };
}

/** When the runs that schedules made are due, as `HH:MM`, with what became of them. */
export async function autoRuns(cloud: TestCloud, flowId?: string): Promise<string[]> {
  const rows = await cloud.rows<{ at: string; state: string; flow_id: string }>(
    "SELECT scheduled_start_time AS at, state, flow_id FROM flow_run WHERE auto_scheduled = 1 ORDER BY scheduled_start_time, labels, parameters",
  );
  return rows
    .filter((row) => flowId === undefined || row.flow_id === flowId)
    .map((row) => `${row.at.slice(11, 16)} ${row.state}`);
}
