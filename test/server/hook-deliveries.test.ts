import t from "tap";
import { newId } from "../../src/core/ids.js";
import { RETRY_PAUSES_MS } from "../../src/server/hooks/attempts.js";
import { eventually } from "../helpers/eventually.js";
import { startReceiver } from "../helpers/hook-receiver.js";
import { deployFlow, HandClock, letPass, startTestCloud, TestAgent, type TestCloud } from "../helpers/server.js";
import { databaseAt, makeDatabase, needsPostgres } from "../helpers/test-database.js";

const HOUR_MS = 3_600_000;
/** The server does nothing by itself: tests say when a round begins. */
const BY_HAND = { tickMs: HOUR_MS };

async function startWithHooks(t: Parameters<typeof startTestCloud>[0] & { testdir(): string }, hooks: object = {}) {
  const clock = new HandClock();
  const receiver = await startReceiver(t);
  const options = { ...BY_HAND, clock, hooks: { allowPrivate: true, timeoutMs: 5_000, ...hooks } };
  const cloud = await startTestCloud(t, options);
  const { flowId } = await deployFlow(cloud, { tasks: ["a-1"] });
  const makeHook = async (path: string, more: object = {}) => {
    const input = { type: "WEBHOOK", states: ["Scheduled"], config: { url: receiver.url + path }, ...more };
    return (await cloud.call("create_cloud_hook", input)).id;
  };
  /** A run, which is Scheduled then. */
  const makeRun = async (of = flowId) => (await cloud.call("create_flow_run", { flow_id: of })).id;
  return { clock, receiver, cloud, flowId, makeHook, makeRun, options };
}

interface Delivery {
  cloud_hook_id: string;
  attempts: number;
  next_attempt_at: string | null;
  delivered_at: string | null;
  last_error: string | null;
}
/** As a user reads them. */
async function deliveries(cloud: TestCloud, headers?: Record<string, string>): Promise<Delivery[]> {
  const columns = "cloud_hook_id attempts next_attempt_at delivered_at last_error";
  const { body } = await cloud.ask(`{ cloud_hook_delivery(order_by: {created: asc}) { ${columns} } }`, {}, headers);
  return body.data!.cloud_hook_delivery as Delivery[];
}
const untilAll = (cloud: TestCloud, fits: (delivery: Delivery) => boolean, headers?: Record<string, string>) =>
  eventually(async () => (await deliveries(cloud, headers)).every(fits), { message: "all deliveries" });
const isOver = (delivery: Delivery) => delivery.next_attempt_at === null;
const runOf = ({ body }: { body: string }) => JSON.parse(body).event.flow_run.id;

t.test("hooks are told of the states they name, of their flow, once for each; others of nothing", async (t) => {
  const { cloud, receiver, makeHook, makeRun } = await startWithHooks(t);
  const { id: ofGroup } = await cloud.call("create_flow", {
    project_id: (await cloud.rows<{ id: string }>("SELECT id FROM project"))[0]!.id,
    serialized_flow: { name: "grouped", tasks: [], edges: [], parameters: [], run_config: { type: "UniversalRun" } },
    version_group_id: "the-group",
  });
  const early = await makeRun();
  await makeHook("/all", { states: ["scheduled", "RUNNING", "Success"] });
  await makeHook("/failed", { states: ["Failed"] });
  await makeHook("/group", { version_group_id: "the-group" });
  const off = await makeHook("/off");
  await cloud.call("set_cloud_hook_inactive", { cloud_hook_id: off });
  await makeHook("/unused", { type: "PREFECT_MESSAGE", config: null, states: ["Running"] });
  await cloud.server.tick();
  t.same(await deliveries(cloud), [], "what was before them is not told");
  await cloud.call("delete_flow_run", { flow_run_id: early });

  const id = await makeRun();
  const agent = await TestAgent.register(cloud);
  const run = await agent.claimOne();
  await agent.flowState(run, "Running");
  await agent.flowState(run, "Success", "All done.");
  agent.batch -= 1;
  await agent.flowState(run, "Success", "All done.");
  const refused = await agent.flowState(run, "Failed");
  t.equal(refused.refused.length, 1);
  const grouped = await makeRun(ofGroup);
  for (const _ of [1, 2]) {
    await cloud.server.tick();
    await untilAll(cloud, isOver);
  }
  const told = receiver.at("/all").map((request) => JSON.parse(request.body).event);
  t.same(
    told
      .filter((event) => event.flow_run.id === id)
      .map((event) => event.state.state)
      .sort(),
    ["Running", "Scheduled", "Success"],
  );
  t.match(
    told.find((event) => event.state.state === "Success"),
    {
      is_test_event: false,
      flow: { name: "orders" },
      state: { message: "All done.", serialized_state: { type: "Success" } },
    },
  );
  t.equal(new Set(receiver.requests.map(({ headers }) => headers["webhook-id"])).size, receiver.requests.length);
  t.same(receiver.at("/group").map(runOf), [grouped]);
  t.same([...receiver.at("/failed"), ...receiver.at("/off")], [], "a refused state is no state");
  t.match((await cloud.ask("{ message { text } }")).body.data, { message: [{ text: /entered the state Running/ }] });
  t.ok((await deliveries(cloud)).every((each) => each.attempts === 1 && each.delivered_at !== null));
});

t.test(
  "what fails is tried again after pauses that grow, under one id, and given up with its error kept",
  async (t) => {
    const { cloud, receiver, clock, makeHook, makeRun } = await startWithHooks(t);
    await makeHook("/in");
    const other = await makeHook("/slow");
    receiver.answer = ({ path }, response) => void response.writeHead(path === "/in" ? 500 : 200).end();
    await makeRun();
    const own = async () => (await deliveries(cloud)).find((each) => each.cloud_hook_id !== other)!;
    for (const [index, pauseMs] of [...RETRY_PAUSES_MS, null].entries()) {
      await cloud.server.tick();
      // While it is being sent it has the time when its claim ends.
      const dueMs = pauseMs === null ? null : clock.now() + pauseMs;
      const isDueThen = ({ next_attempt_at: next }: Delivery) => (next === null ? null : Date.parse(next)) === dueMs;
      await eventually(async () => isDueThen(await own()), { message: `pause ${index}` });
      if (pauseMs === null) break;
      clock.forward(pauseMs - 1);
      await cloud.server.tick();
      t.equal(receiver.at("/in").length, index + 1, "not before");
      clock.forward(1);
    }
    const failed = await own();
    t.match(failed, {
      attempts: 9,
      next_attempt_at: null,
      delivered_at: null,
      last_error: "the answer was HTTP status 500",
    });
    t.match(
      cloud.log.filter(({ level }) => level === "error"),
      [
        {
          message:
            /^Hook .* was not told of state 1 of flow run .*, after 9 attempts: the answer was HTTP status 500\.$/,
        },
      ],
    );
    t.equal(new Set(receiver.at("/in").map(({ headers }) => headers["webhook-id"])).size, 1);
    t.equal(new Set(receiver.at("/in").map(({ headers }) => headers["webhook-timestamp"])).size, 9, "signed anew");
    t.equal(receiver.at("/slow").length, 1);
    await letPass(cloud, clock, 20_000);
    t.equal(receiver.at("/in").length, 9);
    clock.forward(8 * 24 * HOUR_MS);
    await cloud.server.tick();
    t.same(await deliveries(cloud), [], "a week later nobody asks any more");
  },
);

t.test("a receiver that hangs holds up no other, and has few requests at a time", async (t) => {
  const { cloud, receiver, clock, makeHook, makeRun } = await startWithHooks(t, { timeoutMs: 1_000 });
  const hanging = await makeHook("/hangs");
  receiver.answer = ({ path }, response) => void (path === "/hangs" || response.end());
  for (let made = 0; made < 100; made += 1) await makeRun();
  clock.forward(1_000);
  const other = await makeHook("/quick");
  for (let made = 0; made < 30; made += 1) await makeRun();
  await cloud.server.tick();
  // Thirty behind a hundred that are due before them, four at a time, without another round of the server.
  await eventually(() => receiver.at("/quick").length === 30);
  t.equal(receiver.at("/hangs").length, 4);
  await eventually(async () => (await deliveries(cloud)).filter((each) => each.delivered_at !== null).length === 30);
  await eventually(async () => (await deliveries(cloud)).some((each) => each.last_error !== null));
  t.match(
    (await deliveries(cloud)).find((each) => each.last_error !== null),
    { cloud_hook_id: hanging, last_error: "there was no answer within 1000 ms" },
  );
  t.ok((await deliveries(cloud)).every((each) => (each.delivered_at !== null) === (each.cloud_hook_id === other)));
});

t.test("a hook that is deleted, or switched off, is told no more of what it was still to be told", async (t) => {
  const { cloud, receiver, clock, makeHook, makeRun } = await startWithHooks(t);
  const gone = await makeHook("/gone");
  const off = await makeHook("/off");
  receiver.answer = (_, response) => void response.writeHead(500).end();
  await makeRun();
  await cloud.server.tick();
  await untilAll(cloud, (each) => each.last_error !== null);
  await cloud.call("delete_cloud_hook", { cloud_hook_id: gone });
  await cloud.call("set_cloud_hook_inactive", { cloud_hook_id: off });
  clock.forward(HOUR_MS);
  await cloud.server.tick();
  await untilAll(cloud, isOver);
  t.match(await deliveries(cloud), [{ cloud_hook_id: off, delivered_at: null, last_error: "the hook is inactive" }]);
  t.equal(receiver.requests.length, 2);
  await cloud.call("set_cloud_hook_active", { cloud_hook_id: off });
  await makeRun();
  await cloud.server.tick();
  await eventually(() => receiver.requests.length === 3);
});

t.test("a hook that is deleted while it is told leaves nothing behind", async (t) => {
  const { cloud, receiver, makeHook, makeRun } = await startWithHooks(t);
  const cloud_hook_id = await makeHook("/in");
  let finish = () => {};
  receiver.answer = (_, response) => {
    finish = () => void response.end();
  };
  await makeRun();
  await cloud.server.tick();
  await eventually(() => receiver.requests.length === 1);
  await cloud.call("delete_cloud_hook", { cloud_hook_id });
  finish();
  await cloud.server.close();
  t.same(
    cloud.log.filter(({ level }) => level === "error"),
    [],
  );
});

t.test("of several recipients only those are sent to again that were not reached", async (t) => {
  const receiver = await startReceiver(t);
  const clock = new HandClock();
  const hooks = { allowPrivate: true, hosts: { twilio: receiver.url } };
  const cloud = await startTestCloud(t, { ...BY_HAND, clock, hooks });
  const { flowId } = await deployFlow(cloud);
  const config = { account_sid: "AC", auth_token: "t", messaging_service_sid: "MG", to: ["+1", "+2", "+3"] };
  await cloud.call("create_cloud_hook", { type: "TWILIO", states: ["Scheduled"], config });
  const to = () => receiver.requests.map(({ body }) => new URLSearchParams(body).get("To"));
  receiver.answer = (_, response) => void response.writeHead(to().length === 2 ? 429 : 201).end();
  await cloud.call("create_flow_run", { flow_id: flowId });
  await cloud.server.tick();
  await untilAll(cloud, (each) => each.last_error === "the answer was HTTP status 429");
  clock.forward(RETRY_PAUSES_MS[0]!);
  await cloud.server.tick();
  await untilAll(cloud, isOver);
  t.same(to(), ["+1", "+2", "+2", "+3"]);
});

t.test("a server that closes, or dies, between a state and its delivery: the next one delivers", async (t) => {
  const database = await databaseAt(t, `${t.testdir()}/cloud.db`);
  const receiver = await startReceiver(t);
  const clock = new HandClock();
  const options = { ...BY_HAND, database, clock, hooks: { allowPrivate: true } };
  const first = await startTestCloud(t, options);
  const headers = { authorization: `Bearer ${first.token}` };
  const { flowId } = await deployFlow(first);
  const config = { url: receiver.url };
  await first.call("create_cloud_hook", { type: "WEBHOOK", states: ["Scheduled"], config });
  await first.call("create_flow_run", { flow_id: flowId });
  await first.server.close();
  t.same(receiver.requests, []);

  // This one is closed while the receiver thinks: it breaks off, and that counts for nothing.
  const second = await startTestCloud(t, options);
  receiver.answer = () => {};
  await second.server.tick();
  await eventually(() => receiver.requests.length === 1);
  await second.server.close({ hurry: true });

  const third = await startTestCloud(t, options);
  t.match(await deliveries(third, headers), [{ attempts: 0, delivered_at: null, last_error: null }]);
  await third.server.tick();
  await eventually(() => receiver.requests.length === 2);
  // As if it had died now: its claim stands in the database, and nobody writes how the attempt went.
  const [claim] = await third.rows<{ next_attempt_at: string }>("SELECT * FROM cloud_hook_delivery");
  await third.server.close({ hurry: true });
  const fourth = await startTestCloud(t, options);
  await fourth.server.database.write((transaction) =>
    transaction.run("UPDATE cloud_hook_delivery SET attempts = 1, next_attempt_at = ?1", claim!.next_attempt_at),
  );
  receiver.answer = (_, response) => void response.end();
  await fourth.server.tick();
  t.equal(receiver.requests.length, 2, "it may still be at it");
  clock.forward(Date.parse(claim!.next_attempt_at) - clock.now());
  await fourth.server.tick();
  await untilAll(fourth, isOver, headers);
  t.match(await deliveries(fourth, headers), [{ attempts: 2, delivered_at: /^2026/, last_error: null }]);
  t.equal(new Set(receiver.requests.map((request) => request.headers["webhook-id"])).size, 1);
  t.equal(receiver.requests.length, 3);
});

t.test("a clock that was put back an hour does not keep deliveries waiting that long", async (t) => {
  const { cloud, receiver, clock, makeHook, makeRun } = await startWithHooks(t);
  await makeHook("/in");
  await cloud.server.tick();
  clock.step(HOUR_MS);
  await makeRun();
  await cloud.server.tick();
  await eventually(() => receiver.requests.length === 1);
  await untilAll(cloud, isOver);
  await makeRun();
  clock.step(-HOUR_MS);
  await cloud.server.tick();
  await eventually(() => receiver.requests.length === 2);
  await untilAll(cloud, isOver);
  t.equal(receiver.requests.length, 2);
});

t.test("a server without leave sends no hook to a private address that was made with it", async (t) => {
  const { cloud, receiver, makeHook, makeRun, options } = await startWithHooks(t);
  await makeHook("/in");
  await makeRun();
  await cloud.server.close();
  const strict = await startTestCloud(t, { ...options, database: cloud.file, hooks: {} });
  await strict.server.tick();
  const headers = { authorization: `Bearer ${cloud.token}` };
  await untilAll(strict, (each) => each.last_error === "its host is at a private address", headers);
  t.same(receiver.requests, []);
});

t.test("a run that is asked for twice under one key is told once", async (t) => {
  const { cloud, receiver, makeHook, flowId } = await startWithHooks(t);
  await makeHook("/in");
  const ask = () => cloud.call("create_flow_run", { flow_id: flowId, idempotency_key: "monday" });
  const [{ id }] = await Promise.all([ask(), ask(), ask()]);
  await t.rejects(cloud.call("create_flow_run", { flow_id: newId() }));
  await cloud.server.tick();
  await untilAll(cloud, isOver);
  t.same(receiver.requests.map(runOf), [id]);
});

t.test("two servers on one Postgres", needsPostgres, async (t) => {
  const database = await makeDatabase(t, newId());
  const receiver = await startReceiver(t);
  const options = { database, hooks: { allowPrivate: true } };
  const first = await startTestCloud(t, options);
  const second = await startTestCloud(t, options);
  const headers = { authorization: `Bearer ${first.token}` };
  const { flowId } = await deployFlow(first);
  const makeRun = (n: number) =>
    [first, second][n % 2]!.call("create_flow_run", { flow_id: flowId }, headers).then(({ id }) => id);
  // Each server knows now that there are no hooks.
  await Promise.all([makeRun(0), makeRun(1)]);
  const config = { url: receiver.url };
  await first.call("create_cloud_hook", { type: "WEBHOOK", states: ["Scheduled"], config });

  await t.test("a hook that was made at the other one is noticed within seconds", async (t) => {
    await eventually(async () => (await makeRun(1)) && receiver.requests.length > 0, { everyMs: 200 });
    t.ok(receiver.requests.length > 0);
  });

  await t.test("both send, and each state is told once", async (t) => {
    const ids = await Promise.all(Array.from({ length: 200 }, (_, n) => makeRun(n)));
    await eventually(async () => (await deliveries(first)).every(isOver), { timeoutMs: 30_000 });
    const told = receiver.requests.map(runOf).filter((id) => ids.includes(id));
    t.same(told.sort(), ids.sort());
    t.ok((await deliveries(first)).every(({ attempts }) => attempts === 1));
    t.same(
      [...first.log, ...second.log].filter(({ level }) => level === "error"),
      [],
    );
  });
});
