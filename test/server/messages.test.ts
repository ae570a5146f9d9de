import t from "tap";
import { newId } from "../../src/core/ids.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { refusalOf, startTestCloud } from "../helpers/server.js";

const AT = "2026-11-23T10:00:00.000Z";

t.test(
  "a message is marked as read and unread, and deleted, by its tenant alone; each call may come twice",
  async (t) => {
    const cloud = await startTestCloud(t);
    const other = await addSecondTenant(cloud, AT);
    const { id: cloud_hook_id } = await cloud.call("create_cloud_hook", {
      type: "PREFECT_MESSAGE",
      states: ["Failed"],
    });
    await cloud.call("test_cloud_hook", { cloud_hook_id });
    const list = async (headers?: Record<string, string>) =>
      (await cloud.ask("{ message { id read } }", {}, headers)).body.data!.message as { id: string; read: boolean }[];
    const [{ id: message_id }] = (await list()) as [{ id: string; read: boolean }];
    t.same(await list(other), []);
    for (const name of ["mark_message_as_read", "mark_message_as_unread"] as const) {
      for (const _ of [1, 2]) t.same(await cloud.call(name, { message_id }), { success: true, error: null });
      t.same(await list(), [{ id: message_id, read: name === "mark_message_as_read" }]);
      t.match(await refusalOf(cloud.call(name, { message_id }, other)), { message: /was not found/ });
      t.match(await refusalOf(cloud.call(name, { message_id: newId() })), { message: /was not found/ });
    }
    t.match(await cloud.call("delete_message", { message_id }, other), { success: false });
    t.same(await cloud.call("delete_message", { message_id }), { success: true, error: null });
    t.match(await cloud.call("delete_message", { message_id }), { success: false, error: /was not found/ });
    t.same(await list(), []);
  },
);

t.test("an agent config is read by the agent that was registered with it, and the agent outlives it", async (t) => {
  const cloud = await startTestCloud(t);
  const other = await addSecondTenant(cloud, AT);
  const settings = { job_template: { kind: "Job", replicas: 2 } };
  const { id } = await cloud.call("create_agent_config", { name: "k8s", settings });
  // As Prefect's agent asks for it.
  const read = async (headers?: Record<string, string>) =>
    (await cloud.ask(`{ agent_config(where: {id: {_eq: "${id}"}}) { name settings } }`, {}, headers)).body.data;
  t.same(await read(), { agent_config: [{ name: "k8s", settings }] });
  t.same(await read(other), { agent_config: [] });
  const agent = { type: "KubernetesAgent", name: "a", labels: [], agent_config_id: id };
  t.match(await refusalOf(cloud.call("register_agent", agent, other)), { message: /agent config .* was not found/ });
  t.match(await refusalOf(cloud.call("register_agent", { ...agent, agent_config_id: newId() })), {
    code: "INPUT_INVALID",
  });
  await cloud.call("register_agent", { type: "KubernetesAgent", name: "a", labels: [], agent_config_id: id });

  const change = { agent_config_id: id, settings: { job_template: null } };
  for (const _ of [1, 2]) t.match(await cloud.call("update_agent_config", change), { success: true });
  t.same(await read(), { agent_config: [{ name: "k8s", settings: { job_template: null } }] });
  await cloud.call("update_agent_config", { agent_config_id: id, name: "new" });
  t.same(await read(), { agent_config: [{ name: "new", settings: { job_template: null } }] });
  t.match(await refusalOf(cloud.call("update_agent_config", change, other)), { message: /was not found/ });

  t.match(await cloud.call("delete_agent_config", { agent_config_id: id }, other), { success: false });
  const { body } = await cloud.ask("{ agent { name agent_config { name } } }");
  t.same(body.data, { agent: [{ name: "a", agent_config: { name: "new" } }] });
  t.match(await cloud.call("delete_agent_config", { agent_id: id }), { success: true }, "by Prefect's name for it");
  t.match(await cloud.call("delete_agent_config", { agent_config_id: id }), { success: false, error: /was not found/ });
  const { body: after } = await cloud.ask("{ agent { name agent_config { name } } }");
  t.same(after.data, { agent: [{ name: "a", agent_config: null }] });
});

t.test("agent configs that are none are refused", async (t) => {
  const cloud = await startTestCloud(t);
  t.ok((await cloud.call("create_agent_config", {})).id, "neither a name nor settings are needed");
  for (const settings of [[], "text", 1]) {
    const refusal = await refusalOf(cloud.call("create_agent_config", { settings }));
    t.match(refusal, { code: "INPUT_INVALID", message: /`settings` must be a JSON object/ });
  }
  const large = cloud.call("create_agent_config", { settings: { text: "x".repeat(100_000) } });
  t.match(await refusalOf(large), { message: /is 100011 bytes of JSON, and may have at most 100000/ });
  t.match(await refusalOf(cloud.call("create_agent_config", { name: "" })), { message: /`name` has 1 to 255/ });
  t.match(await refusalOf(cloud.call("create_agent_config", { tenant_id: newId() })), { code: "FORBIDDEN" });
  t.match(await refusalOf(cloud.call("update_agent_config", { agent_config_id: newId() })), {
    message: /was not found/,
  });
  t.match(await refusalOf(cloud.call("delete_agent_config", {})), { message: /`agent_config_id` is missing/ });
});
