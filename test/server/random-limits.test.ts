import fc from "fast-check";
import t from "tap";
import type { ClaimedRun, ReportStatesPayload } from "../../src/client/wire.js";
import { deployTagged } from "../helpers/limits.js";
import { PROPERTY_TIMEOUT_MS, propertyRuns } from "../helpers/property-runs.js";
import {
  flowState,
  HandClock,
  LEASE_MS,
  letPass,
  startTestCloud,
  TestAgent,
  type TestCloud,
  taskState,
} from "../helpers/server.js";

const TAGS = { "a-1": ["x"], "b-1": ["x", "y"], "c-1": ["y"], "d-1": [] } as Record<string, string[]>;
const SLUGS = Object.keys(TAGS);
const LIMITS = [0, 1, 2] as const;

interface AgentStep {
  do: "claim" | "renew" | "die" | "tick";
  agent: number;
}
interface TaskStep {
  do: "start" | "finish" | "retry" | "wait";
  agent: number;
  pick: number;
}
interface LimitStep {
  do: "tag limit" | "label limit";
  which: number;
  slots: number;
}
type Step = AgentStep | TaskStep | LimitStep;

const agentStep = { agent: fc.nat({ max: 2 }) };
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ do: fc.constant("claim" as const), ...agentStep }) },
  {
    weight: 10,
    arbitrary: fc.record({ do: fc.constantFrom("start" as const, "finish" as const), ...agentStep, pick: fc.nat() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("retry" as const, "wait" as const), ...agentStep, pick: fc.nat() }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constantFrom("renew" as const, "die" as const, "tick" as const), ...agentStep }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constantFrom("tag limit" as const, "label limit" as const),
      which: fc.nat({ max: 1 }),
      slots: fc.constantFrom(...LIMITS),
    }),
  },
);

interface Held {
  run: ClaimedRun;
  /** By slug: where the agent thinks that its task run stands, and the version. */
  tasks: Map<string, { at: "ready" | "queued" | "running" | "done"; version: number }>;
}

/** Agents that do what they are told, and never more than the Cloud lets them. */
class World {
  readonly agents: { agent: TestAgent; held: Map<string, Held> }[] = [];
  readonly #cloud: TestCloud;
  readonly #clock: HandClock;

  constructor(cloud: TestCloud, clock: HandClock) {
    this.#cloud = cloud;
    this.#clock = clock;
  }

  async open(): Promise<void> {
    for (let at = 0; at < 3; at += 1) {
      this.agents.push({ agent: await TestAgent.register(this.#cloud, `agent ${at}`, ["l0", "l1"]), held: new Map() });
    }
  }

  async take(step: Step): Promise<void> {
    if ("which" in step) return this.#limit(step);
    const { agent, held } = this.agents[step.agent]!;
    if ("pick" in step) {
      await this.#task(step, agent, held);
    } else if (step.do === "claim") {
      for (const run of (await agent.claim(2)).runs) await this.#begin(agent, held, run);
    } else if (step.do === "tick") {
      await this.#cloud.server.tick();
    } else if (step.do === "renew") {
      await this.#renew(agent, held);
    } else {
      held.clear();
      for (const each of this.agents) await this.#renew(each.agent, each.held);
      await letPass(this.#cloud, this.#clock, LEASE_MS - 1);
      for (const each of this.agents) await this.#renew(each.agent, each.held);
      this.#clock.forward(1);
      await this.#cloud.server.tick();
    }
  }

  async #limit({ do: what, which, slots }: LimitStep): Promise<void> {
    if (what === "tag limit")
      await this.#cloud.call("update_task_tag_limit", { tag: ["x", "y"][which]!, limit: slots });
    else await this.#cloud.call("update_flow_concurrency_limit", { name: `l${which}`, limit: slots });
  }

  async #begin(agent: TestAgent, held: Map<string, Held>, run: ClaimedRun): Promise<void> {
    const tasks: Held["tasks"] = new Map();
    for (const { task_slug, version, serialized_state } of run.task_runs) {
      const { type } = (serialized_state ?? { type: "" }) as { type: string };
      tasks.set(task_slug, { at: type === "Success" ? "done" : "ready", version });
    }
    held.set(run.flow_run_id, { run, tasks });
    await agent.report(run, [flowState("Running")]);
    await this.#end(agent, held, run.flow_run_id);
  }

  async #renew(agent: TestAgent, held: Map<string, Held>): Promise<void> {
    const { granted, lost } = await agent.renew([...held.values()].map(({ run }) => run));
    for (const id of lost) held.delete(id);
    this.#grant(granted);
  }

  #grant(ids: readonly string[]): void {
    for (const { held } of this.agents)
      for (const { run, tasks } of held.values())
        for (const { id, task_slug } of run.task_runs) {
          const task = tasks.get(task_slug)!;
          if (ids.includes(id) && task.at === "queued") task.at = "ready";
        }
  }

  async #task(step: TaskStep, agent: TestAgent, held: Map<string, Held>): Promise<void> {
    const each = [...held.values()][step.pick % Math.max(1, held.size)];
    if (!each) return;
    const { run, tasks } = each;
    if (step.do === "wait") {
      const isWaiting = [...tasks.values()].every(({ at }) => at === "queued" || at === "done");
      if (!isWaiting) return;
      const { flow_run_id, fence } = run;
      await this.#cloud.call("release_runs", { agent_id: agent.id, runs: [{ flow_run_id, fence, waits: true }] });
      held.delete(flow_run_id);
      return;
    }
    const from = step.do === "start" ? "ready" : "running";
    const some = SLUGS.filter((slug) => tasks.get(slug)?.at === from);
    // All that are ready are begun together, as an engine does.
    const slugs = step.do === "start" ? some : some.slice(0, 1 + (step.pick % 2));
    for (const slug of slugs) await this.#move(step.do, slug, agent, each);
    if (slugs.length > 0) await this.#end(agent, held, run.flow_run_id);
  }

  async #move(did: TaskStep["do"], slug: string, agent: TestAgent, { run, tasks }: Held): Promise<void> {
    const type = did === "start" ? "Running" : did === "finish" ? "Success" : "Retrying";
    const answer = await agent.report(run, [taskState(run, slug, type, tasks.get(slug)!.version)]);
    this.#answered(answer, run, slug, tasks, did);
  }

  #answered(answer: ReportStatesPayload, run: ClaimedRun, slug: string, tasks: Held["tasks"], did: string): void {
    if (answer.refused.length > 0) throw new Error(answer.refused[0]!.message);
    const id = run.task_runs.find(({ task_slug }) => task_slug === slug)!.id;
    const version = tasks.get(slug)!.version + 1;
    const isQueued = answer.queued.includes(id);
    tasks.set(slug, {
      version,
      at: isQueued ? "queued" : did === "start" ? "running" : did === "finish" ? "done" : "ready",
    });
    this.#grant(answer.granted);
  }

  async #end(agent: TestAgent, held: Map<string, Held>, flowRunId: string): Promise<void> {
    const { run, tasks } = held.get(flowRunId)!;
    if ([...tasks.values()].some(({ at }) => at !== "done")) return;
    this.#grant((await agent.report(run, [flowState("Success")])).granted);
    held.delete(flowRunId);
  }

  /** Under limits of 0 everything comes to wait, and is given back: it has to find its way on without an agent. */
  async park(): Promise<void> {
    for (let at = 0; at < this.agents.length; at += 1) {
      for (const what of ["start", "finish", "finish", "finish", "finish", "start", "wait"] as const) {
        for (let pick = 0; pick < 4; pick += 1) await this.take({ do: what, agent: at, pick });
      }
    }
  }

  /** Everybody does what there is to do, until nothing is left; the limits let one through at a time. */
  async finish(): Promise<void> {
    for (let round = 0; round < 400; round += 1) {
      const [{ open }] = (await this.#cloud.rows<{ open: number }>(
        "SELECT count(*) AS open FROM flow_run WHERE state <> 'Success'",
      )) as [{ open: number }];
      if (Number(open) === 0) return;
      for (let at = 0; at < this.agents.length; at += 1) {
        const { agent, held } = this.agents[at]!;
        for (const run of (await agent.claim(10)).runs) await this.#begin(agent, held, run);
        await this.#renew(agent, held);
        for (let pick = 0; pick < 12; pick += 1) {
          await this.take({ do: "finish", agent: at, pick });
          await this.take({ do: "start", agent: at, pick });
        }
      }
    }
    throw new Error("Not every run came to its end.");
  }
}

/**
 * What may never be, whatever happens. A task run of an agent that died is Running in the books until the next agent gets to
 * it: runs that were taken back are looked at by their slots alone.
 */
async function check(cloud: TestCloud): Promise<void> {
  const orphans = await cloud.rows(
    `SELECT s.name, t.state, r.state AS flow_state FROM concurrency_slot s JOIN flow_run r ON r.id = s.flow_run_id
       LEFT JOIN task_run t ON t.id = s.run_id
     WHERE r.lease_agent_id IS NULL OR r.state NOT IN ('Running', 'Submitted')
       OR (s.kind = 'task_tag' AND t.state NOT IN ('Running', 'Queued'))`,
  );
  if (orphans.length > 0) throw new Error(`Slots of runs that are not under way: ${JSON.stringify(orphans)}`);
  const lacking = await cloud.rows(
    `SELECT t.id, l.tag FROM task_run t JOIN task k ON k.id = t.task_id JOIN flow_run r ON r.id = t.flow_run_id
       JOIN task_tag_limit l ON k.tags LIKE '%"' || l.tag || '"%'
     WHERE t.state = 'Running' AND r.lease_agent_id IS NOT NULL AND r.state = 'Running'
       AND NOT EXISTS (SELECT 1 FROM concurrency_slot s WHERE s.run_id = t.id AND s.name = l.tag)
       AND NOT EXISTS (SELECT 1 FROM flow_run_state h WHERE h.flow_run_id = r.id AND h.state = 'Scheduled' AND h.version > 1)`,
  );
  if (lacking.length > 0) throw new Error(`Running without a slot: ${JSON.stringify(lacking)}`);
}

/** More holders than slots only while a limit was lowered beneath them: then none may be added. */
async function counts(cloud: TestCloud): Promise<Map<string, { held: number; slots: number }>> {
  const rows = await cloud.rows<{ name: string; held: number; slots: number }>(
    `SELECT l.name, l.slots, (SELECT count(*) FROM concurrency_slot s WHERE s.kind = l.kind AND s.name = l.name) AS held
     FROM (SELECT 'task_tag' AS kind, tag AS name, slots FROM task_tag_limit
       UNION ALL SELECT 'flow_label', name, slots FROM flow_concurrency_limit) l`,
  );
  return new Map(rows.map(({ name, held, slots }) => [name, { held, slots }]));
}

t.test(
  "whatever agents do and limits become: never too many, no slot left behind, and every run ends",
  { timeout: PROPERTY_TIMEOUT_MS },
  async (t) => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 20, maxLength: 80 }),
        fc.constantFrom(...LIMITS),
        async (steps, atFirst) => {
          const teardowns: (() => void | Promise<void>)[] = [];
          const clock = new HandClock();
          const cloud = await startTestCloud({ teardown: (fn) => void teardowns.push(fn) }, { clock });
          try {
            const flow = await deployTagged(cloud, TAGS, { labels: ["l0", "l1"] });
            const world = new World(cloud, clock);
            await world.open();
            for (const tag of ["x", "y"]) await cloud.call("update_task_tag_limit", { tag, limit: atFirst });
            for (const name of ["l0", "l1"]) await cloud.call("update_flow_concurrency_limit", { name, limit: 2 });
            for (let at = 0; at < 4; at += 1) await cloud.call("create_flow_run", { flow_id: flow.flowId });
            let before = await counts(cloud);
            for (const each of steps) {
              await world.take(each);
              await check(cloud);
              const now = await counts(cloud);
              for (const [name, { held, slots }] of now) {
                if (held > slots && held > (before.get(name)?.held ?? 0))
                  throw new Error(`${held} hold ${name}, of ${slots}`);
              }
              before = now;
            }
            for (const tag of ["x", "y"]) await cloud.call("update_task_tag_limit", { tag, limit: 0 });
            await world.park();
            for (const tag of ["x", "y"]) await cloud.call("update_task_tag_limit", { tag, limit: 1 });
            for (const name of ["l0", "l1"]) await cloud.call("update_flow_concurrency_limit", { name, limit: 1 });
            await world.finish();
            for (const table of ["concurrency_slot", "slot_request"]) {
              if ((await cloud.rows(`SELECT * FROM ${table}`)).length > 0) throw new Error(`${table} is not empty`);
            }
          } finally {
            for (const close of teardowns) await close();
          }
        },
      ),
      { numRuns: propertyRuns(25) },
    );
    t.pass("every example held");
  },
);
