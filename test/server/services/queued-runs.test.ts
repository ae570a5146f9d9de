import t from "tap";
import { brokenInvariants } from "../../helpers/invariants.js";
import { prefectState } from "../../helpers/prefect-client.js";
import { deployFlow, flowRunRow } from "../../helpers/server.js";
import { bed, MINUTE, SECOND } from "./bed.js";

const SILENT = 10 * MINUTE;
/** So long after it asked, a process that is Queued has asked again. */
const ASKS_AGAIN = MINUTE;

/** A label without slots, and Python runs that are Queued for it. */
async function fullBed(t: Parameters<typeof bed>[0]) {
  const { cloud, clock, letPass } = await bed(t);
  const flow = await deployFlow(cloud, { tasks: ["a-1"], labels: ["gpu"], ours: false });
  await cloud.call("update_flow_concurrency_limit", { name: "gpu", limit: 0 });
  const ask = (flow_run_id: string, type = "Running") =>
    cloud.call("set_flow_run_states", { states: [{ flow_run_id, state: prefectState(type, type) }] });
  const queued = async () => {
    const { id } = await cloud.call("create_flow_run", { flow_id: flow.flowId });
    const { states } = await ask(id);
    if (states[0]?.status !== "QUEUED") throw new Error(`The run is ${states[0]?.status}.`);
    return id;
  };
  const headers = { "X-PREFECT-CORE-VERSION": "1.4.1" };
  const shown = async () => (await cloud.call("get_runs_in_queue", { labels: ["gpu"] }, headers)).flow_run_ids;
  await letPass(SILENT + MINUTE);
  return { cloud, clock, letPass, flow, ask, queued, shown };
}

t.test("Queued runs of Prefect's keep no Scheduled one from its agents, however many there are", async (t) => {
  const { cloud, letPass, flow, queued, shown } = await fullBed(t);
  for (let count = 0; count < 26; count += 1) await queued();
  await letPass(2 * MINUTE);
  const { id } = await cloud.call("create_flow_run", { flow_id: flow.flowId });
  t.strictSame(await shown(), [], "there is no slot");
  await cloud.call("update_flow_concurrency_limit", { name: "gpu", limit: 1 });
  t.strictSame(await shown(), [id]);
  await cloud.call("update_flow_concurrency_limit", { name: "gpu", limit: 100 });
  t.strictSame(await shown(), [id]);
  t.strictSame((await cloud.call("get_runs_in_queue", { labels: ["gpu"] })).flow_run_ids, [id], "nor to anybody else");
});

t.test("a Queued run whose process stays away is Scheduled again after ten minutes, not before", async (t) => {
  const { cloud, letPass, queued, shown } = await fullBed(t);
  const id = await queued();
  const [{ due } = { due: "" }] = await cloud.rows<{ due: string }>("SELECT state_start_time AS due FROM flow_run");
  await letPass(ASKS_AGAIN + SILENT - SECOND);
  t.match(await flowRunRow(cloud, id), { state: "Queued", times_resurrected: 0 });
  await letPass(MINUTE + SECOND);
  const row = await flowRunRow(cloud, id);
  t.match(row, { state: "Scheduled", times_resurrected: 1 });
  const why = `Rescheduled: it was Queued, and its process did not ask again by ${due}; no agent is known to have started it`;
  t.equal(row.state_message, why);
  t.strictSame(await cloud.rows("SELECT level, message FROM log WHERE name = 'millrace.lazarus'"), [
    { level: "WARNING", message: `${why}. This is attempt 1.` },
  ]);
  await cloud.call("update_flow_concurrency_limit", { name: "gpu", limit: 1 });
  t.strictSame(await shown(), [id], "and agents are shown it");
  t.strictSame(await brokenInvariants(cloud), []);
});

t.test("a Queued run whose process asks is left alone, and `why` says whose turn it waits for", async (t) => {
  const { cloud, letPass, flow, ask, queued } = await fullBed(t);
  const id = await queued();
  await cloud.call("disable_flow_heartbeat", { flow_id: flow.flowId });
  for (let minutes = 0; minutes < 30; minutes += 5) {
    await letPass(5 * MINUTE);
    t.match(await ask(id), { states: [{ status: "QUEUED" }] });
  }
  t.match(await flowRunRow(cloud, id), { state: "Queued", times_resurrected: 0 });
  const { body } = await cloud.ask(`{ why_waiting(input: { flow_run_id: "${id}" }) { reasons { code message } } }`);
  t.match(body.errors, undefined);
  t.match(body.data, {
    why_waiting: { reasons: [{ code: "FLOW_LABEL_LIMIT" }, { code: "NOT_HELD", message: /asks again by/ }] },
  });
});

t.test("with Lazarus off, a Queued run whose process stays away is Failed with the reason", async (t) => {
  const { cloud, letPass, flow, queued } = await fullBed(t);
  const id = await queued();
  await cloud.call("disable_flow_lazarus_process", { flow_id: flow.flowId });
  await letPass(ASKS_AGAIN + SILENT + MINUTE);
  t.match(await flowRunRow(cloud, id), {
    state: "Failed",
    state_message: /did not ask again by .* since Lazarus is off for its flow group\.$/,
  });
});
