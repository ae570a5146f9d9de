import t from "tap";
import { newId } from "../../src/core/ids.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { deployFlow, refusalOf, serializedFlow, startTestCloud, TestAgent } from "../helpers/server.js";

const cloud = await startTestCloud(t);
const theirs = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");
const projects = () => cloud.rows("SELECT name, description FROM project ORDER BY name");

t.test("a project is renamed and described; a name that is taken is refused", async (t) => {
  const { id } = await cloud.call("create_project", { name: "Sales" });
  await cloud.call("create_project", { name: "Ops" });
  t.strictSame(await cloud.call("set_project_name", { project_id: id, name: "Selling" }), { id });
  t.strictSame(await cloud.call("set_project_description", { project_id: id, description: "all of it" }), { id });
  t.strictSame(await cloud.call("set_project_name", { project_id: id, name: "Selling" }), { id }, "its own name again");
  const described = { name: "Selling", description: "all of it" };
  t.strictSame(await projects(), [{ name: "Ops", description: null }, described]);
  t.match(await refusalOf(cloud.call("set_project_name", { project_id: id, name: "Ops" })), {
    code: "INPUT_INVALID",
    message: "Uniqueness violation.",
  });
  t.equal((await refusalOf(cloud.call("set_project_name", { project_id: id, name: "" }))).code, "INPUT_INVALID");
  await cloud.call("set_project_description", { project_id: id });
  t.strictSame(await projects(), [
    { name: "Ops", description: null },
    { name: "Selling", description: null },
  ]);
  for (const headers of [undefined, theirs]) {
    const project_id = headers ? id : newId();
    const rename = cloud.call("set_project_name", { project_id, name: "Mine" }, headers);
    t.equal((await refusalOf(rename)).code, "PROJECT_NOT_FOUND");
    const describe = cloud.call("set_project_description", { project_id }, headers);
    t.equal((await refusalOf(describe)).code, "PROJECT_NOT_FOUND");
    t.match(await cloud.call("delete_project", { project_id }, headers), {
      success: false,
      error: `There is no project "${project_id}".`,
    });
  }
  t.equal((await projects()).length, 2);
});

t.test("a project is deleted with its flows, their runs, and the groups that have no flow elsewhere", async (t) => {
  const { id: gone } = await cloud.call("create_project", { name: "Gone" });
  const { id: kept } = await cloud.call("create_project", { name: "Kept" });
  const register = (project_id: string, name: string, version_group_id?: string) =>
    cloud.call("create_flow", { project_id, serialized_flow: serializedFlow({ name }), version_group_id });
  const alone = await register(gone, "alone");
  const shared = await register(gone, "shared", "shared-group");
  const stays = await register(kept, "shared", "shared-group");
  await cloud.call("create_flow_run", { flow_id: alone.id });
  t.strictSame(await cloud.call("delete_project", { project_id: gone }), { success: true, error: null });
  const left = `('${alone.id}', '${shared.id}', '${stays.id}')`;
  t.strictSame(await cloud.rows(`SELECT id FROM flow WHERE id IN ${left}`), [{ id: stays.id }]);
  t.strictSame(
    await cloud.rows(`SELECT id FROM flow_group WHERE id IN ('${alone.flow_group_id}', '${shared.flow_group_id}')`),
    [{ id: shared.flow_group_id }],
  );
  for (const table of ["flow_run", "task_run", "flow_run_state", "task_run_state"]) {
    t.strictSame(await cloud.rows(`SELECT * FROM ${table}`), [], table);
  }
  t.match(await cloud.call("delete_project", { project_id: gone }), { success: false }, "once");
  await cloud.call("delete_project", { project_id: kept });
});

t.test("an agent that holds a run of a deleted flow is told to stop, and its reports are refused", async (t) => {
  const flow = await deployFlow(cloud, { name: "held" });
  await cloud.call("create_flow_run", { flow_id: flow.flowId });
  const agent = await TestAgent.register(cloud);
  const run = await agent.claimOne();
  t.strictSame(await cloud.call("delete_flow", { flow_id: flow.flowId }), { success: true, error: null });
  t.match(await agent.renew([run]), { lost: [run.flow_run_id] });
  t.match(await agent.flowState(run, "Running"), { refused: [{ flow_run_id: run.flow_run_id }] });
  t.match(await cloud.call("delete_flow", { flow_id: flow.flowId }), {
    success: false,
    error: `Flow ${flow.flowId} not found.`,
  });
});

t.test("a flow moves with all its versions, and is registered on under its new project", async (t) => {
  const { id: from } = await cloud.call("create_project", { name: "From" });
  const { id: to } = await cloud.call("create_project", { name: "To" });
  const register = (project_id: string) =>
    cloud.call("create_flow", { project_id, serialized_flow: serializedFlow({ name: "mover" }) });
  await register(from);
  const second = await register(from);
  t.strictSame(await cloud.call("update_flow_project", { flow_id: second.id, project_id: to }), { id: second.id });
  t.strictSame(await cloud.rows("SELECT DISTINCT project_id FROM flow WHERE name = 'mover'"), [{ project_id: to }]);
  t.match(await register(to), { version: 3, flow_group_id: second.flow_group_id });
  const anew = await register(from);
  t.equal(anew.version, 1, "under the old project it is another flow");
  t.strictSame(await cloud.rows("SELECT version FROM flow WHERE name = 'mover' AND archived = 0 ORDER BY version"), [
    { version: 1 },
    { version: 3 },
  ]);
  const { id: foreign } = await cloud.call("create_project", { name: "Theirs" }, theirs);
  const move = (flow_id: string, project_id: string, headers?: Record<string, string>) =>
    refusalOf(cloud.call("update_flow_project", { flow_id, project_id }, headers));
  t.equal((await move(second.id, foreign)).code, "PROJECT_NOT_FOUND");
  t.equal((await move(second.id, foreign, theirs)).code, "FLOW_NOT_FOUND");
  t.equal((await move(newId(), to)).code, "FLOW_NOT_FOUND");
});
