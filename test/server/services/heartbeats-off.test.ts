import t from "tap";
import { brokenInvariants } from "../../helpers/invariants.js";
import { prefectState } from "../../helpers/prefect-client.js";
import { deployFlow, flowRunRow, taskRunStates } from "../../helpers/server.js";
import { bed, MINUTE, SECOND } from "./bed.js";

const SILENT = 10 * MINUTE;

/** A run of Prefect's, and what `why` says of it. */
async function pythonRun(t: Parameters<typeof bed>[0], upTo: "Submitted" | "Running") {
  const { cloud, letPass } = await bed(t);
  const flow = await deployFlow(cloud, { tasks: ["a-1", "b-1"], ours: false });
  await letPass(SILENT + MINUTE);
  const { id } = await cloud.call("create_flow_run", { flow_id: flow.flowId });
  const set = (type: string) =>
    cloud.call("set_flow_run_states", { states: [{ flow_run_id: id, state: prefectState(type, type) }] });
  await set("Submitted");
  if (upTo === "Running") await set("Running");
  const cancel = () => cloud.call("cancel_flow_run", { flow_run_id: id });
  const why = async () => {
    const query = `{ why_waiting(input: { flow_run_id: "${id}" }) { reasons { code message fix } } }`;
    const { data } = (await cloud.ask(query)).body;
    return (data as { why_waiting: { reasons: { code: string; message: string; fix: string | null }[] } }).why_waiting
      .reasons;
  };
  return { cloud, letPass, flow, id, set, cancel, why };
}

t.test("with heartbeats off, a second cancel after ten minutes of silence ends a run, and says so", async (t) => {
  const { cloud, letPass, flow, id, set, cancel, why } = await pythonRun(t, "Running");
  await cloud.call("disable_flow_heartbeat", { flow_id: flow.flowId });
  const [{ heartbeat } = { heartbeat: "" }] = await cloud.rows<{ heartbeat: string }>("SELECT heartbeat FROM flow_run");
  t.strictSame(await cancel(), { state: "Cancelling" });
  await letPass(SILENT - SECOND);
  t.strictSame(await cancel(), { state: "Cancelling" }, "its process may still be at it");
  t.match(await why(), [{ code: "CANCELLING", message: /heartbeats are off/, fix: null }, { code: "NOT_HELD" }]);
  await letPass(SECOND);
  t.match(await flowRunRow(cloud, id), { state: "Cancelling" }, "nobody does it by itself");
  t.match(await why(), [{ code: "CANCELLING", fix: `millrace cancel ${id}` }, { code: "NOT_HELD" }]);
  t.strictSame(await cancel(), { state: "Cancelled" });
  t.match(await flowRunRow(cloud, id), {
    state: "Cancelled",
    state_message: `Flow run is cancelled: asked for again, no heartbeat of its process since ${heartbeat}`,
  });
  t.strictSame(await taskRunStates(cloud, id), { "a-1": "Cancelled", "b-1": "Cancelled" });
  await t.rejects(set("Success"), { code: "STATE_REFUSED" }, "what the process still says");
  t.strictSame(await brokenInvariants(cloud), []);
});

t.test("a run whose process was heard of meanwhile is not ended by a second cancel", async (t) => {
  const { cloud, letPass, id, cancel } = await pythonRun(t, "Running");
  await cancel();
  await letPass(SILENT - MINUTE);
  await cloud.call("update_flow_run_heartbeat", { flow_run_id: id });
  await letPass(SILENT - MINUTE);
  t.strictSame(await cancel(), { state: "Cancelling" });
});

t.test("with Lazarus off, a run that is long Submitted is left alone, and `why` says so", async (t) => {
  const { cloud, letPass, flow, id, set, cancel, why } = await pythonRun(t, "Submitted");
  await letPass(SILENT - MINUTE);
  await cloud.call("disable_flow_lazarus_process", { flow_id: flow.flowId });
  t.match(await why(), [{ code: "STARTING", message: /about to begin it/, fix: null }, { code: "NOT_HELD" }]);
  await letPass(3 * SILENT);
  t.match(await flowRunRow(cloud, id), { state: "Submitted", times_resurrected: 0 });
  t.match(await why(), [
    { code: "STARTING", message: /left alone however long that takes/, fix: `millrace cancel ${id}` },
    { code: "NOT_HELD" },
  ]);
  await set("Running");
  t.match(await flowRunRow(cloud, id), { state: "Running" }, "it was a slow start");
  t.strictSame(await cancel(), { state: "Cancelling" });
});
