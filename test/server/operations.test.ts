import { once } from "node:events";
import { connect } from "node:net";
import t from "tap";
import { MillraceError } from "../../src/core/errors.js";
import { Durations } from "../../src/server/operations/counts.js";
import { ReadinessProbe } from "../../src/server/operations/readiness.js";
import { jsonLine, textLine } from "../../src/server/operations/server-log.js";
import type { ServiceStatus } from "../../src/server/services/service-runner.js";
import { subscribe } from "../helpers/agent-events.js";
import { eventually } from "../helpers/eventually.js";
import { deployFlow, HandClock, startTestCloud, TestAgent, type TestCloud } from "../helpers/server.js";

async function ready(cloud: TestCloud): Promise<{ status: number; body: Record<string, unknown> }> {
  const answer = await fetch(`${cloud.url}/ready`);
  return { status: answer.status, body: (await answer.json()) as Record<string, unknown> };
}

async function metricsOf(cloud: TestCloud): Promise<string> {
  const answer = await fetch(`${cloud.url}/metrics`, { headers: { authorization: `Bearer ${cloud.token}` } });
  t.equal(answer.status, 200);
  t.match(answer.headers.get("content-type"), /^text\/plain/);
  return answer.text();
}

t.test("a server is ready when its database takes a write and its services go round", async (t) => {
  const cloud = await startTestCloud(t);
  await cloud.server.tick();
  const { status, body } = await ready(cloud);
  t.equal(status, 200);
  t.match(body, { status: "ready", database: "ok", services: { leases: "ok", scheduler: "ok" } });
  const head = await fetch(`${cloud.url}/ready`, { method: "HEAD" });
  t.equal(head.status, 200);
  t.equal(head.headers.get("cache-control"), "no-store");
  t.equal((await fetch(`${cloud.url}/ready`, { method: "POST" })).status, 405);
});

t.test("a database that is away makes the server not ready, though it lives", async (t) => {
  const cloud = await startTestCloud(t);
  await cloud.server.database.close();
  const { status, body } = await ready(cloud);
  t.equal(status, 503);
  t.match(body, { status: "not ready", database: "failed" });
  t.notMatch(JSON.stringify(body), /millrace\.db/);
  t.equal((await fetch(`${cloud.url}/health`)).status, 200);
});

t.test("a write that does not come to its turn is slow, and many who ask cost one probe", async (t) => {
  let asked = 0;
  let answer = () => {};
  const write = () => {
    asked += 1;
    return new Promise<void>((resolve) => {
      answer = resolve;
    });
  };
  const parts = { database: { write } as never, clock: new HandClock(), log: () => {} };
  const probe = new ReadinessProbe(parts, () => []);
  const looks = await Promise.all([probe.look(), probe.look(), probe.look()]);
  t.match(looks, [{ ready: false, database: "slow" }, { database: "slow" }, { database: "slow" }]);
  t.equal(asked, 1);
  answer();
});

t.test(
  "a service that stands still makes the server not ready; one that failed is told, and tried again",
  async (t) => {
    const clock = new HandClock();
    const at = new Date(clock.now()).toISOString();
    let status: ServiceStatus = {
      name: "leases",
      periodMs: 1_000,
      lastRoundAt: at,
      lastTookMs: 1,
      lastError: "boom: secret",
    };
    const database = { write: async () => {} } as never;
    const probe = new ReadinessProbe({ database, clock, log: () => {} }, () => [status]);
    t.match(await probe.look(), { ready: true, services: { leases: "failing" } });
    t.notMatch(JSON.stringify(await probe.look()), /secret/);
    clock.forward(60_001);
    t.match(await probe.look(), { ready: false, status: "not ready", services: { leases: "stuck" } });
    status = { ...status, lastRoundAt: null, lastError: null };
    t.match(await probe.look(), { ready: false, services: { leases: "stuck" } }, "also if it never had a round");
    status = { ...status, lastRoundAt: new Date(clock.now()).toISOString() };
    t.match(await probe.look(), { ready: true, services: { leases: "ok" } });
  },
);

t.test("metrics need a token unless they are public", async (t) => {
  const cloud = await startTestCloud(t);
  t.equal((await fetch(`${cloud.url}/metrics`)).status, 401);
  const { key } = await cloud.call("create_api_key", { name: "prometheus", scope: "READ" });
  const headers = { authorization: `Bearer ${key}` };
  t.equal((await fetch(`${cloud.url}/metrics`, { headers })).status, 200);
  const open = await startTestCloud(t, { metricsPublic: true });
  t.equal((await fetch(`${open.url}/metrics`)).status, 200);
});

t.test("metrics count what was asked, written and claimed, and what waits", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  await cloud.call("create_flow_run", { flow_id: flowId });
  await cloud.call("create_flow_run", { flow_id: flowId });
  const later = "2999-01-01T00:00:00Z";
  await cloud.call("create_flow_run", { flow_id: flowId, scheduled_start_time: later });
  const agent = await TestAgent.register(cloud);
  const run = await agent.claimOne();
  await agent.flowState(run, "Running");
  await cloud.ask("{");
  await cloud.ask("{ hello }", null, { authorization: "Bearer wrong" });
  await cloud.ask('mutation { create_project(input: {name: "Sales"}) { id } }');
  await cloud.server.tick();
  const text = await metricsOf(cloud);
  const value = (name: string) =>
    Number(
      text
        .split("\n")
        .find((line) => line.startsWith(`${name} `))
        ?.split(" ")[1],
    );
  t.equal(value('millrace_requests_total{operation="create_flow_run",outcome="ok"}'), 3);
  t.equal(value('millrace_requests_total{operation="create_project",outcome="errors"}'), 1);
  t.equal(value('millrace_requests_total{operation="none",outcome="refused"}'), 2);
  t.equal(value('millrace_request_duration_seconds_count{operation="create_flow_run"}'), 3);
  t.equal(value('millrace_request_duration_seconds_bucket{operation="create_flow_run",le="+Inf"}'), 3);
  t.equal(value("millrace_claims_total"), 1);
  t.equal(value("millrace_waiting_runs"), 2);
  t.equal(value("millrace_due_runs"), 1);
  t.equal(value("millrace_leases"), 1);
  t.equal(value("millrace_agents_seen"), 1);
  t.equal(value("millrace_database_up"), 1);
  t.equal(value('millrace_states_written_total{of="flow_run"}'), 5, "three Scheduled, one Submitted, one Running");
  t.ok(value("millrace_database_write_seconds_count") > 5);
  t.ok(value('millrace_memory_bytes{kind="rss"}') > 1_000_000);
  t.equal(value('millrace_service_failed{service="leases"}'), 0);
  t.notMatch(
    text,
    new RegExp(`${run.flow_run_id}|${agent.id}|Sales`),
    "no label holds what there may be any number of",
  );
  for (const line of text.split("\n")) t.match(line, /^(#.*|[a-z_]+(\{.*\})? [-+\d.eNaInf]+)?$/, line);
});

t.test("timers that come when they should are not said to be late", async (t) => {
  const cloud = await startTestCloud(t);
  const delay = async () =>
    Number(/event_loop_delay_seconds\{quantile="0.5"\} (\S+)/.exec(await metricsOf(cloud))?.[1]);
  // Nothing was measured before the first time.
  await delay();
  const measured = await eventually(
    async () => {
      const seconds = await delay();
      return seconds > 1e-6 ? seconds : undefined;
    },
    { everyMs: 100 },
  );
  t.ok(measured < 0.015, `${measured} s`);
});

t.test("when the database is away, the metrics say so in place of old numbers", async (t) => {
  const cloud = await startTestCloud(t, { metricsPublic: true });
  await cloud.server.database.close();
  const text = await (await fetch(`${cloud.url}/metrics`)).text();
  t.match(text, "millrace_database_up 0");
  t.match(text, /millrace_due_runs Nan/i);
});

t.test("durations fall into the bucket of their bound", async (t) => {
  const durations = new Durations();
  for (const ms of [0, 1, 1.1, 5, 100, 20_000]) durations.note(ms);
  t.strictSame(durations.counts, [2, 2, 0, 1, 0, 0, 0, 1]);
});

t.test(
  "a server that stops is first not ready, then tells its listeners to come again, and finishes what is under way",
  async (t) => {
    const cloud = await startTestCloud(t, { drainMs: 300 });
    const agent = await TestAgent.register(cloud);
    const events = await subscribe(cloud, agent.id);
    const body = '{"query":"{ hello }"}';
    const slow = connect(cloud.server.port, "127.0.0.1");
    await once(slow, "connect");
    slow.setEncoding("utf8");
    let heard = "";
    slow.on("data", (text: string) => {
      heard += text;
    });
    const head = `POST / HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer ${cloud.token}\r\ncontent-type: application/json\r\n`;
    slow.write(`${head}content-length: ${body.length}\r\n\r\n{`);
    const closed = cloud.server.close();
    t.match(await ready(cloud), { status: 503, body: { status: "draining" } });
    t.match((await cloud.ask("{ hello }")).body, { data: { hello: "hello" } }, "meanwhile it answers");
    t.equal(cloud.server.listeners, 1);
    await events.ended;
    t.match(events.text, /: the server is stopping; subscribe again\nretry: 1000\n\n$/);
    slow.write(body.slice(1));
    await closed;
    await eventually(() => heard.includes('"hello":"hello"'), { message: "the answer to the slow request" });
    await t.rejects(fetch(`${cloud.url}/health`));
  },
);

t.test("a server that is to hurry waits for nothing", async (t) => {
  const cloud = await startTestCloud(t, { drainMs: 60_000 });
  const slow = connect(cloud.server.port, "127.0.0.1");
  await once(slow, "connect");
  slow.on("error", () => {});
  slow.write("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n");
  const begunAt = performance.now();
  const closed = cloud.server.close();
  await Promise.all([closed, cloud.server.close({ hurry: true })]);
  t.ok(performance.now() - begunAt < 5_000);
});

t.test("the log is for people, or an object a line with what was thrown and why", async (t) => {
  const cause = new Error("disk full");
  const error = new MillraceError("DATABASE_FAILED", "It failed.", { cause });
  t.equal(textLine({ level: "info", message: "quiet" }), undefined);
  t.match(
    textLine({ level: "error", message: "Internal error 1", error }),
    /^millrace: Internal error 1\nDATABASE_FAILED/,
  );
  const line = jsonLine({ level: "error", message: "two\nlines", id: "7", error }, new Date(0));
  t.notMatch(line, "\n");
  t.match(JSON.parse(line), {
    time: "1970-01-01T00:00:00.000Z",
    level: "error",
    message: "two\nlines",
    id: "7",
    error: { code: "DATABASE_FAILED", message: "It failed.", cause: { message: "disk full" } },
  });
  cause.cause = cause;
  t.ok(jsonLine({ level: "error", message: "x", error }, new Date(0)), "causes in a circle end");
  t.match(JSON.parse(jsonLine({ level: "error", message: "x", error: "text" }, new Date(0))), {
    error: { message: "text" },
  });
});
