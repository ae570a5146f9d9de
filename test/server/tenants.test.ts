import t from "tap";
import { newId } from "../../src/core/ids.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { refusalOf, startTestCloud } from "../helpers/server.js";

const cloud = await startTestCloud(t);
const theirs = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");
const as = (tenantId: string) => ({ "x-prefect-tenant-id": tenantId });

async function list(headers?: Record<string, string>): Promise<{ id: string; slug: string }[]> {
  const { body } = await cloud.ask("{ tenant { id slug } }", null, headers);
  return body.data?.tenant as { id: string; slug: string }[];
}
const [home] = await list();

t.test("who makes a tenant is its member: it is listed, and acted for by the header", async (t) => {
  const { id } = await cloud.call("create_tenant", { name: "Night Shift", slug: "night-shift" });
  t.strictSame(await list(), [home, { id, slug: "night-shift" }]);
  t.strictSame(await list(as(id)), [{ id, slug: "night-shift" }, home], "the one that is asked for comes first");
  t.strictSame((await cloud.ask("{ tenant(order_by: { slug: asc }) { slug } }", null, as(id))).body.data?.tenant, [
    { slug: "default" },
    { slug: "night-shift" },
  ]);
  const where = `{ tenant(where: { slug: { _eq: "night-shift" } }) { id } }`;
  t.strictSame((await cloud.ask(where)).body.data, { tenant: [{ id }] });
  await cloud.call("create_project", { name: "Same name" });
  await cloud.call("create_project", { name: "Same name" }, as(id.toUpperCase()));
  const projects = "{ project { tenant_id } tenant { slug projects { name } } }";
  t.strictSame(
    (await cloud.ask(projects, null, as(id))).body.data,
    {
      project: [{ tenant_id: id }],
      tenant: [
        { slug: "night-shift", projects: [{ name: "Same name" }] },
        { slug: "default", projects: [] },
      ],
    },
    "what is in another tenant is read under its own header only",
  );
  t.match((await cloud.ask("{ auth_info { tenant_id } }", null, as(id))).body.data, { auth_info: { tenant_id: id } });
  const named = await cloud.call("create_project", { name: "By input", tenant_id: id });
  t.match(await cloud.rows("SELECT tenant_id FROM project WHERE id = ?1", named.id), [{ tenant_id: id }]);
  t.equal((await list(theirs)).length, 1, "nobody else sees it");
});

t.test("a tenant of somebody else, one that there is not, and what is no id are refused alike", async (t) => {
  const [second] = await list(theirs);
  for (const tenantId of [second!.id, newId(), "default", "x"]) {
    const { status, body } = await cloud.ask("{ hello }", null, as(tenantId));
    t.equal(status, 200);
    t.match(body.errors, [{ message: `There is no tenant "${tenantId}"`, extensions: { code: "TENANT_NOT_FOUND" } }]);
  }
  const asked = cloud.call("create_project", { name: "x", tenant_id: second!.id });
  t.equal((await refusalOf(asked)).code, "TENANT_NOT_FOUND");
  t.match((await cloud.ask("{ hello }", null, as(""))).body.data, { hello: "hello" });
});

t.test("a token of another scope acts for its own tenant alone", async (t) => {
  const { id } = await cloud.call("create_tenant", { name: "Other" });
  const { key } = await cloud.call("create_api_key", { name: "deploy", scope: "DEPLOY" });
  const authorization = `Bearer ${key}`;
  t.strictSame(await list({ authorization }), [home]);
  t.strictSame(await list({ authorization, ...as(home!.id) }), [home]);
  const { body } = await cloud.ask("{ hello }", null, { authorization, ...as(id) });
  t.match(body.errors, [{ extensions: { code: "TENANT_NOT_FOUND" } }]);
  t.equal((await refusalOf(cloud.call("create_tenant", { name: "Mine" }, { authorization }))).code, "FORBIDDEN");
});

t.test("slugs are made from names, checked, and taken once", async (t) => {
  const { id } = await cloud.call("create_tenant", { name: "Zürich & Søn, 2." });
  t.ok((await list()).some((tenant) => tenant.id === id && tenant.slug === "zurich-s-n-2"));
  for (const slug of ["Big", "a b", "-a", "a--b", "a_b", "", "x".repeat(201)]) {
    t.match(await refusalOf(cloud.call("create_tenant", { name: "n", slug })), {
      code: "INPUT_INVALID",
      message: /slug/,
    });
    const change = cloud.call("update_tenant_slug", { tenant_id: id, slug });
    t.equal((await refusalOf(change)).code, "INPUT_INVALID");
  }
  t.equal((await refusalOf(cloud.call("create_tenant", { name: " " }))).code, "INPUT_INVALID");
  const taken = cloud.call("create_tenant", { name: "n", slug: "default" });
  t.equal((await refusalOf(taken)).message, "Uniqueness violation.");
  const moved = cloud.call("update_tenant_slug", { tenant_id: id, slug: "default" });
  t.equal((await refusalOf(moved)).message, "Uniqueness violation.");
});

t.test("a tenant's name, slug and settings are changed by its members", async (t) => {
  const { id } = await cloud.call("create_tenant", { name: "Before", slug: "before" });
  t.strictSame(await cloud.call("update_tenant_name", { tenant_id: id, name: "After" }), { id });
  t.strictSame(await cloud.call("update_tenant_slug", { tenant_id: id, slug: "after" }), { id });
  await cloud.call("update_tenant_settings", { tenant_id: id, settings: { a: 1, b: [2] } });
  t.strictSame(await cloud.call("update_tenant_settings", { tenant_id: id, settings: { a: null } }), { id });
  t.strictSame(await cloud.rows("SELECT name, slug, settings FROM tenant WHERE id = ?1", id), [
    { name: "After", slug: "after", settings: '{"a":null,"b":[2]}' },
  ]);
  const wrong = cloud.call("update_tenant_settings", { tenant_id: id, settings: [1] });
  t.equal((await refusalOf(wrong)).code, "INPUT_INVALID");
  t.equal((await refusalOf(cloud.call("update_tenant_name", { tenant_id: id, name: "" }))).code, "INPUT_INVALID");
  for (const [tenant_id, headers] of [
    [newId(), undefined],
    [id, theirs],
  ] as const) {
    for (const call of [
      () => cloud.call("update_tenant_name", { tenant_id, name: "x" }, headers),
      () => cloud.call("update_tenant_slug", { tenant_id, slug: "x" }, headers),
      () => cloud.call("update_tenant_settings", { tenant_id, settings: {} }, headers),
    ]) {
      t.equal((await refusalOf(call())).code, "TENANT_NOT_FOUND");
    }
  }
});

t.test("a tenant is deleted with everything in it, when that is confirmed, and never the token's own", async (t) => {
  const { id } = await cloud.call("create_tenant", { name: "Doomed" });
  const { key } = await cloud.call("create_api_key", { name: "theirs" }, as(id));
  await cloud.call("create_project", { name: "p" }, as(id));
  const inside = { authorization: `Bearer ${key}` };
  t.match((await cloud.ask("{ auth_info { tenant_id } }", null, inside)).body.data, { auth_info: { tenant_id: id } });
  const unsure = cloud.call("delete_tenant", { tenant_id: id, confirm: false });
  t.match(await refusalOf(unsure), { code: "INPUT_INVALID", message: /`confirm` must be true/ });
  const own = cloud.call("delete_tenant", { tenant_id: id, confirm: true }, inside);
  t.match(await refusalOf(own), { code: "INPUT_INVALID", message: /the one that the token was made in/ });
  t.match(await cloud.call("delete_tenant", { tenant_id: id, confirm: true }, theirs), { success: false });
  t.strictSame(await cloud.call("delete_tenant", { tenant_id: id, confirm: true }), { success: true, error: null });
  t.match((await cloud.ask("{ hello }", null, as(id))).body.errors, [{ extensions: { code: "TENANT_NOT_FOUND" } }]);
  t.match((await cloud.ask("{ hello }", null, inside)).body.errors, [{ extensions: { code: "UNAUTHENTICATED" } }]);
  for (const table of ["project", "api_key", "membership"]) {
    t.strictSame(await cloud.rows(`SELECT * FROM ${table} WHERE tenant_id = ?1`, id), [], table);
  }
  t.match(await cloud.call("delete_tenant", { tenant_id: id, confirm: true }), { success: false }, "once");
});
