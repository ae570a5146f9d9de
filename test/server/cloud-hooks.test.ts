import { createHmac, timingSafeEqual } from "node:crypto";
import { lookup } from "node:dns/promises";
import t from "tap";
import type { CreateCloudHookInput } from "../../src/client/wire.js";
import { lookupPublic, PrivateAddressError } from "../../src/server/hooks/private-address.js";
import { sendRequest } from "../../src/server/hooks/send-request.js";
import { startReceiver, type ToldRequest } from "../helpers/hook-receiver.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { deployFlow, HandClock, refusalOf, startTestCloud } from "../helpers/server.js";

const AT = "2026-11-23T10:00:00.000Z";
const states = ["Success"];
const twilio = { account_sid: "AC1", auth_token: "0123456789abcdef-auth", messaging_service_sid: "MG1", to: ["+1555"] };
const pagerDuty = { api_token: "0123456789abcdef-token", routing_key: "short-key", severity: "critical" };
const webhook = (url: string): CreateCloudHookInput => ({ type: "WEBHOOK", states, config: { url } });

t.test("what is no hook is refused with what is wrong, and nothing of a credential is repeated", async (t) => {
  const cloud = await startTestCloud(t);
  const url = "https://hooks.example.com/services/hunter2-secret-path";
  const rows: [string, CreateCloudHookInput, RegExp][] = [
    ["an unknown type", { type: "PIGEON", states, config: {} }, /`type` is "PIGEON"/],
    ["an unknown state", { type: "WEBHOOK", states: ["Done"], config: { url } }, /"Done" is no state/],
    ["no states", { type: "WEBHOOK", states: [], config: { url } }, /`states` is empty/],
    ["no config", { type: "WEBHOOK", states }, /no text in `url`/],
    ["a list as config", { type: "WEBHOOK", states, config: ["hunter2"] }, /is not a JSON object/],
    ["a strange field", { type: "WEBHOOK", states, config: { url, method: "hunter2" } }, /has the field "method"/],
    ["an own signing secret", { type: "WEBHOOK", states, config: { url, signing_secret: "x" } }, /the field "signing/],
    ["no address", webhook("hunter2"), /a `url` that is no http address/],
    ["another protocol", webhook("file:///etc/hunter2"), /a `url` that is no http address/],
    ["a password in the address", webhook("https://me:hunter2@example.com/"), /a password in its `url`/],
    ["a long address", webhook(`https://example.com/${"hunter2".repeat(500)}`), /no text in `url`/],
    ["no recipients", { type: "TWILIO", states, config: { ...twilio, to: [] } }, /no list of 1 to 10 numbers in `to`/],
    [
      "eleven recipients",
      { type: "TWILIO", states, config: { ...twilio, to: Array(11).fill("+1") } },
      /no list of 1 to 10 numbers/,
    ],
    [
      "a severity",
      { type: "PAGERDUTY", states, config: { ...pagerDuty, severity: "hunter2" } },
      /none of info, warning/,
    ],
    ["a config of a message", { type: "PREFECT_MESSAGE", states, config: { url } }, /has the field "url"/],
    ["an empty name", { ...webhook(url), name: " " }, /`name` has 1 to 255 characters/],
  ];
  for (const [title, input, message] of rows) {
    const refusal = await refusalOf(cloud.call("create_cloud_hook", input));
    t.match(refusal, { code: "INPUT_INVALID", message }, title);
    t.notMatch(refusal.message, /hunter2/, title);
  }
  const second = "11111111-1111-4111-8111-111111111111";
  t.match(await refusalOf(cloud.call("create_cloud_hook", { ...webhook(url), tenant_id: second })), {
    code: "FORBIDDEN",
  });
  t.same(await cloud.rows("SELECT * FROM cloud_hook"), []);
});

t.test("a hook is read with its credentials masked, and its signing secret is answered once", async (t) => {
  const cloud = await startTestCloud(t);
  const created = await cloud.call("create_cloud_hook", {
    ...webhook("https://hooks.example.com/services/T0/hunter2"),
    name: "ops",
    states: ["success", "FAILED", "Success"],
  });
  t.match(created.signing_secret, /^whsec_[A-Za-z0-9+/]{43}=$/);
  const others = [
    { type: "TWILIO", states, config: twilio },
    { type: "PAGERDUTY", states, config: pagerDuty },
    { type: "SLACK_WEBHOOK", states, config: { url: "https://slack.example.com/" } },
    { type: "PREFECT_MESSAGE", states },
  ];
  for (const each of others) t.equal((await cloud.call("create_cloud_hook", each)).signing_secret, null);
  const { body } = await cloud.ask(
    "{ cloud_hook(order_by: {created: asc, type: asc}) { type name states active config } }",
  );
  const hooks = body.data!.cloud_hook as { type: string; config: unknown; states: string[] }[];
  const of = (type: string) => hooks.find((hook) => hook.type === type);
  t.same(of("WEBHOOK"), {
    type: "WEBHOOK",
    name: "ops",
    states: ["FAILED", "SUCCESS"],
    active: true,
    config: { url: "https://hooks.example.com/…ter2" },
  });
  t.same(of("TWILIO")?.config, { ...twilio, auth_token: "…auth" });
  t.same(of("PAGERDUTY")?.config, { ...pagerDuty, api_token: "…oken", routing_key: "…" }, "a short one shows nothing");
  t.same(of("SLACK_WEBHOOK")?.config, { url: "https://slack.example.com" });
  const kept = JSON.stringify(await cloud.rows("SELECT * FROM cloud_hook"));
  for (const secret of ["hunter2", twilio.auth_token, pagerDuty.routing_key, created.signing_secret!]) {
    t.notOk(kept.includes(secret), "no credential lies open in the database");
  }
  const { body: asked } = await cloud.ask("{ cloud_hook { sealed } }");
  t.match(asked.errors?.[0]?.message, /Cannot query field "sealed"/);
});

t.test("hooks are switched, deleted and tried by their tenant alone; each call may come twice", async (t) => {
  const cloud = await startTestCloud(t);
  const other = await addSecondTenant(cloud, AT);
  const { id: cloud_hook_id } = await cloud.call("create_cloud_hook", { type: "PREFECT_MESSAGE", states });
  const active = async () => (await cloud.rows("SELECT active FROM cloud_hook"))[0]?.active;
  for (const name of ["set_cloud_hook_inactive", "set_cloud_hook_active", "test_cloud_hook"] as const) {
    t.match(await refusalOf(cloud.call(name, { cloud_hook_id }, other)), { message: /was not found/ }, name);
  }
  t.match(await cloud.call("delete_cloud_hook", { cloud_hook_id }, other), { success: false });
  for (const name of ["set_cloud_hook_inactive", "set_cloud_hook_active"] as const) {
    for (const _ of [1, 2]) t.same(await cloud.call(name, { cloud_hook_id }), { success: true, error: null });
    t.equal(await active(), name === "set_cloud_hook_active" ? 1 : 0);
  }
  t.same(await cloud.call("delete_cloud_hook", { cloud_hook_id }), { success: true, error: null });
  t.match(await cloud.call("delete_cloud_hook", { cloud_hook_id }), { success: false, error: /was not found/ });
  t.match(await refusalOf(cloud.call("set_cloud_hook_active", { cloud_hook_id })), { message: /was not found/ });
});

t.test("a tenant has no more than 500 hooks", async (t) => {
  const cloud = await startTestCloud(t);
  const make = (headers?: Record<string, string>) =>
    cloud.call("create_cloud_hook", { type: "PREFECT_MESSAGE", states }, headers);
  for (let made = 0; made < 500; made += 50) await Promise.all(Array.from({ length: 50 }, () => make()));
  t.match(await refusalOf(make()), { code: "INPUT_INVALID", message: /the tenant has 500 hooks/ });
  t.ok((await make(await addSecondTenant(cloud, AT))).id, "another one has its own");
});

/** As the specification of Standard Webhooks tells a receiver to do it. */
function isSignedWith(secret: string, { headers, body }: ToldRequest): boolean {
  const signed = `${headers["webhook-id"]}.${headers["webhook-timestamp"]}.${body}`;
  const key = Buffer.from(secret.replace("whsec_", ""), "base64");
  const wanted = createHmac("sha256", key).update(signed, "utf8").digest();
  const given = String(headers["webhook-signature"])
    .split(" ")
    .map((each) => each.split(","));
  return given.some(([version, text = ""]) => {
    const found = Buffer.from(text, "base64");
    return version === "v1" && found.length === wanted.length && timingSafeEqual(found, wanted);
  });
}

t.test("a webhook that is tried gets a signed event, marked as a test", async (t) => {
  const clock = new HandClock();
  const receiver = await startReceiver(t);
  const cloud = await startTestCloud(t, { clock, hooks: { allowPrivate: true } });
  const { id: cloud_hook_id, signing_secret } = await cloud.call(
    "create_cloud_hook",
    webhook(`${receiver.url}/in?a=1`),
  );
  t.same(await cloud.call("test_cloud_hook", { cloud_hook_id }), { success: true, error: null });
  const [told] = receiver.requests as [ToldRequest];
  t.match(told, { method: "POST", path: "/in?a=1", headers: { "content-type": "application/json" } });
  t.ok(isSignedWith(signing_secret!, told));
  t.notOk(isSignedWith(signing_secret!, { ...told, body: told.body.replace("Success", "Failed") }));
  t.notOk(isSignedWith(`whsec_${Buffer.alloc(32).toString("base64")}`, told));
  t.equal(told.headers["webhook-timestamp"], String(clock.now() / 1_000));
  const { event } = JSON.parse(told.body);
  t.match(event, {
    id: told.headers["webhook-id"],
    type: "FlowRunStateChange",
    is_test_event: true,
    state: { state: "Success" },
  });
  t.notMatch(told.body, signing_secret!);

  const { flowId } = await deployFlow(cloud);
  const { id: flow_run_id } = await cloud.call("create_flow_run", { flow_id: flowId, flow_run_name: "monday" });
  await cloud.call("test_cloud_hook", { cloud_hook_id, flow_run_id, state_type: "FAILED" });
  t.match(JSON.parse(receiver.requests[1]!.body).event, {
    is_test_event: true,
    flow: { id: flowId, name: "orders" },
    flow_run: { id: flow_run_id, name: "monday" },
    state: { state: "Failed" },
  });
  const strange = cloud.call("test_cloud_hook", { cloud_hook_id, flow_run_id: cloud_hook_id });
  t.match(await refusalOf(strange), { message: /Flow run .* was not found/ });
  const noState = cloud.call("test_cloud_hook", { cloud_hook_id, state_type: "Done" });
  t.match(await refusalOf(noState), { message: /"Done" is no state/ });
});

t.test("each kind of hook speaks as its service wants it", async (t) => {
  const receiver = await startReceiver(t);
  const hosts = { twilio: `${receiver.url}/twilio`, pagerDuty: `${receiver.url}/pd` };
  const cloud = await startTestCloud(t, { hooks: { allowPrivate: true, hosts } });
  const { flowId } = await deployFlow(cloud, { name: "a <b> & `c`" });
  const { id: flow_run_id } = await cloud.call("create_flow_run", { flow_id: flowId, flow_run_name: "monday" });
  const tell = async (type: string, config?: object) => {
    const { id } = await cloud.call("create_cloud_hook", { type, states, config });
    const before = receiver.requests.length;
    t.match(await cloud.call("test_cloud_hook", { cloud_hook_id: id, flow_run_id }), { success: true });
    return receiver.requests.slice(before);
  };
  const [slack] = await tell("SLACK_WEBHOOK", { url: `${receiver.url}/slack` });
  const { text, blocks } = JSON.parse(slack!.body);
  t.equal(text, "Test: Run monday of flow a <b> & `c` entered the state Success.");
  t.equal(blocks[0].text.text, "Test: run `monday` of flow `a &lt;b&gt; &amp; 'c'` is now *Success*");
  t.equal(slack!.headers["webhook-signature"], undefined, "Slack knows no signatures");

  const sent = await tell("TWILIO", { ...twilio, to: ["+1555", "+1666"] });
  t.same(
    sent.map(({ path }) => path),
    Array(2).fill("/twilio/2010-04-01/Accounts/AC1/Messages.json"),
  );
  t.same(
    sent.map(({ body }) => new URLSearchParams(body).get("To")),
    ["+1555", "+1666"],
  );
  t.equal(sent[0]!.headers.authorization, `Basic ${btoa(`AC1:${twilio.auth_token}`)}`);

  const [page] = await tell("PAGERDUTY", pagerDuty);
  t.equal(page!.path, "/pd/v2/enqueue");
  t.match(JSON.parse(page!.body), {
    routing_key: "short-key",
    event_action: "trigger",
    dedup_key: /^[0-9a-f-]{36}$/,
    payload: { severity: "critical", source: /^millrace\//, summary: /Run monday/ },
  });

  t.same(await tell("PREFECT_MESSAGE"), []);
  const { body } = await cloud.ask("{ message { type read text content } }");
  t.match(body.data, {
    message: [{ type: "CLOUD_HOOK", read: false, text: /monday/, content: { type: "CLOUD_HOOK" } }],
  });
});

t.test("what a receiver does wrong is the answer of test_cloud_hook", async (t) => {
  const receiver = await startReceiver(t);
  const cloud = await startTestCloud(t, { hooks: { allowPrivate: true, timeoutMs: 200 } });
  const { id: cloud_hook_id } = await cloud.call("create_cloud_hook", webhook(`${receiver.url}/hunter2`));
  const tried = async (answer: typeof receiver.answer) => {
    receiver.answer = answer;
    const { success, error } = await cloud.call("test_cloud_hook", { cloud_hook_id });
    t.notMatch(error, /hunter2/);
    return success || error;
  };
  t.equal(await tried((_, response) => response.writeHead(503).end("hunter2")), "the answer was HTTP status 503");
  t.equal(await tried(() => {}), "there was no answer within 200 ms");
  t.equal(await tried((_, response) => response.write("and so on")), "there was no answer within 200 ms");
  t.match(await tried((_, response) => response.destroy()), /the connection failed \(ECONNRESET\)/);
  const brokenOff = (_: unknown, response: import("node:http").ServerResponse) => {
    response.writeHead(200, { "content-length": "100" });
    response.write("half", () => response.destroy());
  };
  t.match(await tried(brokenOff), /the answer broke off|the connection failed/);
  const endless = (_: unknown, response: import("node:http").ServerResponse) => {
    const more = () => {
      while (!response.destroyed && response.write("x".repeat(10_000)));
    };
    response.on("drain", more);
    more();
  };
  t.equal(await tried(endless), true, "of an endless answer no more than the beginning is read");
  const elsewhere = (_: unknown, response: import("node:http").ServerResponse) =>
    response.writeHead(307, { location: `${receiver.url}/elsewhere` }).end();
  t.equal(await tried(elsewhere), "the answer was HTTP status 307, a redirect, which is not followed");
  t.same(receiver.at("/elsewhere"), []);
});

t.test("without leave, nothing is sent to this machine or a private network", async (t) => {
  const receiver = await startReceiver(t);
  const cloud = await startTestCloud(t);
  const hosts = ["127.0.0.1", "localhost", "a.localhost", "10.1.2.3", "169.254.169.254", "0x7f.1", "2130706433"];
  for (const host of [...hosts, "[::1]", "[::ffff:192.168.0.1]", "[fe80::1]", "[64:ff9b::7f00:1]", "localhost."]) {
    const refusal = await refusalOf(cloud.call("create_cloud_hook", webhook(`http://${host}:1234/`)));
    t.match(refusal, { code: "INPUT_INVALID", message: /is at a private address/ }, host);
  }
  t.ok((await cloud.call("create_cloud_hook", webhook("http://8.8.8.8/"))).id);

  // A name is looked up when the connection is made, and by the connection itself.
  t.equal((await lookup("localhost", { family: 4 })).address, "127.0.0.1");
  const looked = await new Promise((resolve) => lookupPublic("localhost", { all: true }, resolve));
  t.ok(looked instanceof PrivateAddressError);
  const request = { url: receiver.url, headers: {}, body: "{}" };
  const signal = new AbortController().signal;
  await t.rejects(sendRequest(request, { timeoutMs: 1_000, allowPrivate: false, signal }), {
    message: "its host is at a private address",
  });
  t.same(receiver.requests, []);
  await sendRequest(request, { timeoutMs: 1_000, allowPrivate: true, signal });
  t.equal(receiver.requests.length, 1);
});
