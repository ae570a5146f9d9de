import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import t from "tap";
import { LocalAgent } from "../../src/agent/local-agent.js";
import type { Cloud } from "../../src/client/cloud.js";
import { MAX_CLAIM } from "../../src/core/claim-limit.js";
import { type ErrorCode, MillraceError } from "../../src/core/errors.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);

t.test("an agent takes runs as they come, runs them in threads, and the Cloud has all states and logs", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("counts-runs");
  const agent = bed.agent();
  await agent.start();
  const run = await bed.reached(await bed.create("counts-runs"));
  t.equal(run.state, "Success");
  t.match(await bed.taskRuns(run.flowRunId), [{ taskSlug: "count-1", state: "Success", version: 3 }]);
  t.match(await bed.logs(run.flowRunId), [{ level: "INFO", message: /^run 1 on thread \d+/ }]);
  await agent.stop();
  t.match(bed.lines.join("\n"), /ended in Success/);
});

t.test("many runs at once: each is run once, on no more threads than the agent has", async (t) => {
  const bed = await openAgentBed(t, home);
  const ids = await Promise.all(Array.from({ length: 60 }, () => bed.create("hello")));
  const agent = bed.agent({ once: true });
  await agent.run();
  for (const id of ids) t.equal((await bed.flowRun(id)).state, "Success");
  t.equal(bed.lines.filter((line) => line.includes("ended in Success")).length, 60);
});

t.test("once: runs what is due and returns, also when nothing is", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("hello");
  await bed.agent({ once: true }).run();
  const id = await bed.create("hello");
  await bed.agent({ once: true, mode: "inline" }).run();
  t.equal((await bed.flowRun(id)).state, "Success");
});

t.test("a run that is due later is taken when it is due, without an event or a poll in between", async (t) => {
  const bed = await openAgentBed(t, home);
  const { flowId } = await bed.deploy("hello");
  const agent = bed.agent();
  await agent.start();
  const dueAt = Date.now() + 700;
  const id = await bed.cloud.createFlowRun({ flowId, scheduledStartAt: new Date(dueAt).toISOString() });
  const run = await bed.reached(id);
  t.ok(Date.parse(run.startAt!) >= dueAt, "not before");
  t.ok(Date.parse(run.startAt!) < dueAt + 5_000, "and long before the next poll");
});

t.test("an agent for one flow group leaves the others' runs alone", async (t) => {
  const bed = await openAgentBed(t, home);
  const { flowGroupId } = await bed.deploy("hello");
  const other = await bed.create("counts-runs");
  const own = await bed.create("hello");
  await bed.agent({ once: true, flowGroupId }).run();
  t.equal((await bed.flowRun(own)).state, "Success");
  t.equal((await bed.flowRun(other)).state, "Scheduled");
});

t.test("inline, a run goes on this very thread", async (t) => {
  const bed = await openAgentBed(t, home);
  const id = await bed.create("counts-runs");
  await bed.agent({ once: true, mode: "inline" }).run();
  t.match(await bed.logs(id), [{ message: /on thread 0$/ }]);
});

t.test("a saved flow that is gone ends the run Failed, with a hint, and nothing was run", async (t) => {
  const bed = await openAgentBed(t, home);
  const { savedFlow } = await bed.deploy("sleeps");
  const id = await bed.create("sleeps");
  await rm(savedFlow.location);
  await bed.agent({ once: true }).run();
  const run = await bed.flowRun(id);
  t.equal(run.state, "Failed");
  t.match(run.message, /There is no saved flow at/);
  t.match(await bed.logs(id), [{ level: "ERROR", message: /SAVED_FLOW_NOT_FOUND[\s\S]*deploy the flow again/ }]);
  t.ok((await bed.taskRuns(id)).every(({ state }) => state === "Cancelled"));
});

t.test("a Cloud that is away, or in trouble, when the flow is fetched is asked again", async (t) => {
  const bed = await openAgentBed(t, home);
  const id = await bed.create("hello");
  const failures: ErrorCode[] = ["CLOUD_UNREACHABLE", "INTERNAL", "DATABASE_FAILED"];
  const cloud: Cloud = {
    ...bed.cloud,
    async flow(flowId) {
      const code = failures.shift();
      if (code) throw new MillraceError(code, "not now");
      return bed.cloud.flow(flowId);
    },
  };
  await bed.agent({ cloud, once: true }).run();
  t.equal((await bed.flowRun(id)).state, "Success");
  t.equal(bed.lines.filter((line) => line.includes("waits for its flow: not now")).length, 1);
});

t.test(
  "a run whose flow cannot be had is given back when the agent stops, also while it is being asked for",
  async (t) => {
    const bed = await openAgentBed(t, home);
    for (const isSilent of [false, true]) {
      const id = await bed.create("hello");
      const asked = Promise.withResolvers<void>();
      const cloud: Cloud = {
        ...bed.cloud,
        flow() {
          asked.resolve();
          return isSilent ? new Promise(() => {}) : Promise.reject(new MillraceError("CLOUD_UNREACHABLE", "not now"));
        },
      };
      const agent = bed.agent({ cloud });
      await agent.start();
      await asked.promise;
      await agent.drain({ graceMs: 0 });
      t.equal((await bed.flowRun(id)).state, "Scheduled");
    }
  },
);

t.test("an agent with more threads than one claim may have claims all the same", async (t) => {
  const bed = await openAgentBed(t, home);
  const id = await bed.create("hello");
  const limits: number[] = [];
  const cloud: Cloud = {
    ...bed.cloud,
    claimRuns(claim) {
      limits.push(claim.limit);
      return bed.cloud.claimRuns(claim);
    },
  };
  await bed.agent({ cloud, threads: 300, once: true }).run();
  t.equal((await bed.flowRun(id)).state, "Success");
  t.equal(limits[0], MAX_CLAIM);
});

t.test("a subscription that the Cloud refuses is tried again, and the agent then hears of runs", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("hello");
  const refusals: ErrorCode[] = ["UNAUTHENTICATED", "CLOUD_REFUSED"];
  const heard = Promise.withResolvers<void>();
  const cloud: Cloud = {
    ...bed.cloud,
    async *agentEvents(agentId, flowGroupId, signal) {
      const code = refusals.shift();
      if (code) throw new MillraceError(code, "not you");
      for await (const event of bed.cloud.agentEvents(agentId, flowGroupId, signal)) {
        yield event;
        heard.resolve();
      }
    },
  };
  const agent = bed.agent({ cloud });
  await agent.start();
  await heard.promise;
  t.equal((await bed.reached(await bed.create("hello"))).state, "Success");
  t.same(
    bed.lines.filter((line) => line.includes("events are not heard")),
    ["The Cloud does not know the agent's token, its events are not heard: not you"],
  );
});

t.test("labels: the hostname by default, in order and once each; an empty one is refused", async (t) => {
  const bed = await openAgentBed(t, home);
  t.same(new LocalAgent({ cloud: bed.cloud }).labels, [hostname()]);
  t.same(new LocalAgent({ cloud: bed.cloud, labels: ["b", "a", "b "] }).labels, ["a", "b"]);
  t.throws(() => new LocalAgent({ cloud: bed.cloud, labels: ["a", " "] }), { code: "AGENT_LABELS_INVALID" });
});

t.test("a Cloud that is not there at the start is an error at once", async (t) => {
  const bed = await openAgentBed(t, home, { killable: true });
  await bed.deploy("hello");
  await bed.killServer();
  await t.rejects(bed.agent().start(), { code: "CLOUD_UNREACHABLE" });
  await bed.restartServer();
});

t.test("the signal stops the agent, and so does one that had fired before", async (t) => {
  const bed = await openAgentBed(t, home);
  await bed.deploy("hello");
  const stop = new AbortController();
  const running = bed.agent({ signal: stop.signal }).run();
  await eventually(() => bed.lines.length > 0);
  stop.abort();
  await running;
  await bed.agent({ signal: AbortSignal.abort() }).run();
});
