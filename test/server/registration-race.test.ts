import t from "tap";
import { HandClock, Refusal, serializedFlow, startTestCloud } from "../helpers/server.js";

const clock = { type: "IntervalClock", interval: 3_600_000_000, start_date: null, end_date: null };
const schedule = { clocks: [{ ...clock, parameter_defaults: {}, labels: null }] };

t.test("one flow registered, moved, archived, scheduled and overridden by many at once stays whole", async (t) => {
  const cloud = await startTestCloud(t, { clock: new HandClock() });
  const projects = await Promise.all(
    ["One", "Two"].map(async (name) => (await cloud.call("create_project", { name })).id),
  );
  const register = (round: number) =>
    cloud.call("create_flow", {
      project_id: projects[round % 2]!,
      serialized_flow: { ...serializedFlow({ name: "busy" }), schedule },
      version_group_id: "busy",
    });
  const { flow_group_id } = await register(0);
  const newest = async () =>
    (await cloud.rows<{ id: string }>("SELECT id FROM flow ORDER BY version DESC LIMIT 1"))[0]!.id;
  const refused: string[] = [];
  const ask = async (call: Promise<unknown>) => {
    try {
      await call;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      refused.push(error.code);
    }
  };
  for (let round = 0; round < 6; round++) {
    const flow_id = await newest();
    await Promise.all(
      [
        register(round),
        cloud.call("set_schedule_active", { flow_id }),
        cloud.call("set_flow_group_labels", { flow_group_id, labels: [`round-${round}`] }),
        cloud.call("create_flow_run", { flow_id }),
        cloud.call("disable_flow_heartbeat", { flow_id }),
        register(round + 1),
        cloud.call("update_flow_project", { flow_id, project_id: projects[round % 2]! }),
        cloud.call("set_flow_group_schedule", { flow_group_id, interval_clocks: [{ interval: 3_600 + round * 60 }] }),
        cloud.call("set_schedule_inactive", { flow_id }),
        cloud.call("archive_flow", { flow_id }),
        cloud.call("enable_flow_lazarus_process", { flow_id }),
        cloud.call("delete_flow_group_schedule", { flow_group_id }),
        cloud.server.tick(),
      ].map(ask),
    );
  }
  t.same(
    refused.filter((code) => code !== "FLOW_ARCHIVED"),
    [],
  );
  const versions = await cloud.rows<{ version: number; archived: number }>(
    "SELECT version, archived FROM flow ORDER BY version",
  );
  t.strictSame(
    versions.map(({ version }) => version),
    Array.from({ length: 13 }, (_, index) => index + 1),
  );
  t.strictSame(
    versions.filter(({ archived }) => archived === 0).map(({ version }) => version),
    [13],
  );
  const stale = await cloud.rows(
    `SELECT r.id FROM flow_run r JOIN flow f ON f.id = r.flow_id WHERE f.archived = 1 AND r.state = 'Scheduled'`,
  );
  t.strictSame(stale, [], "no run of an archived version waits");
  const [settings] = await cloud.rows<{ settings: string }>(
    "SELECT settings FROM flow_group WHERE id = ?1",
    flow_group_id,
  );
  t.match(JSON.parse(settings!.settings), { heartbeat_enabled: false, lazarus_enabled: true });
  t.equal((await cloud.rows("SELECT id FROM flow_group")).length, 1);
  t.strictSame(
    cloud.log.filter((line) => line.error !== undefined),
    [],
  );
});
