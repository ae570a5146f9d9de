import { setTimeout as sleep } from "node:timers/promises";
import { LocalAgent } from "../../src/agent/local-agent.js";
import type { Cloud } from "../../src/client/cloud.js";
import { openCloud } from "../../src/client/cloud-client.js";
import { deployModule } from "../../src/deploy/deploy.js";
import { type Account, accountOf, type ClientLedger, clientLedger } from "./client-ledger.js";
import { eventually } from "./eventually.js";
import { fixture } from "./fixture.js";
import { type ServerProcess, startServerProcess } from "./processes.js";
import { databaseAt } from "./test-database.js";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
  comment(text: string): void;
}

/** Runs that are asked for ahead of those that have ended. */
const UNDER_WAY = 16;
/** Until every run that was asked for has ended, when nothing goes wrong any more. */
const SETTLE_MS = 60_000;
/** A lease outlasts every restart here, so that a claim is lost only where its answer was. */
const LEASE_MS = 10_000;

/** Servers in processes of their own, agents with real worker threads in this one, and what the clients were told. */
export interface FaultBed {
  readonly place: string;
  readonly servers: ServerProcess[];
  readonly ledger: ClientLedger;
  /** Asks for runs, one after the other, as long as `stop` was not called. */
  readonly load: { stop(): Promise<void> };
  /** Waits until the clients were told of so many more states. */
  progress(states: number): Promise<void>;
  kill(index?: number): Promise<void>;
  /** Starts a killed server again, where it was. */
  restart(index?: number): Promise<void>;
  /** Stops asking for runs, waits for those that there are, and stops the agents. */
  settle(now?: number): Promise<Account>;
  account(now?: number): Promise<Account>;
}

export interface FaultBedOptions {
  /** Where the database is to be; a Postgres database of its own where tests run on Postgres. */
  database: string;
  agents?: number;
  servers?: number;
}

export async function openFaultBed(t: Teardown, options: FaultBedOptions): Promise<FaultBed> {
  const place = await databaseAt(t, options.database);
  const first = await startServerProcess(t, place);
  const servers = [first];
  for (let count = 1; count < (options.servers ?? 1); count++) servers.push(await startServerProcess(t, place));
  const token = first.token!;
  const ledger = clientLedger();
  const clouds = servers.map(({ url }) => ledger.watch(openCloud({ url, token })));
  const [deployment] = await deployModule(fixture("short-map.ts"), "Faults", {
    cloud: clouds[0]!,
    createProject: true,
  });
  const lines: string[] = [];
  const agents = Array.from({ length: options.agents ?? 4 }, (_, index) => {
    const cloud = clouds[index % clouds.length]!;
    const log = (line: string) => void lines.push(`agent ${index}: ${line}`);
    return new LocalAgent({
      cloud,
      name: `agent ${index}`,
      labels: [...deployment!.labels],
      threads: 2,
      leaseMs: LEASE_MS,
      pollMs: 1_000,
      log,
    });
  });
  t.teardown(async () => {
    await Promise.all(agents.map((agent) => agent.drain({ graceMs: 0 })));
    await Promise.all(clouds.map((cloud) => cloud.close()));
  });
  const load = startLoad(clouds, deployment!.flowId, ledger);
  t.teardown(() => load.stop());
  const running = Promise.all(agents.map((agent) => startAgent(agent)));
  running.catch(() => {});
  const account = (now?: number) => accountOf(place, ledger, now);
  return {
    place,
    servers,
    ledger,
    load,
    account,
    async progress(states) {
      const from = ledger.acknowledged;
      const message = `the clients to be told of ${states} more states; the agents last said ${lines.slice(-8).join(" | ")}`;
      await eventually(() => ledger.acknowledged >= from + states, { timeoutMs: SETTLE_MS, message });
    },
    kill: (index = 0) => servers[index]!.kill(),
    async restart(index = 0) {
      servers[index] = await startServerProcess(t, place, servers[index]!.port);
    },
    async settle(now) {
      await load.stop();
      const last = await eventually(
        async () => {
          const found = await account(now);
          return found.unfinished.length === 0 && found;
        },
        { timeoutMs: SETTLE_MS, everyMs: 200, message: "every run to end in Success" },
      ).catch(async (error: unknown) => {
        t.comment(`${(error as Error).message}; the agents last said\n${lines.slice(-20).join("\n")}`);
        return account(now);
      });
      return last;
    },
  };
}

/** An agent that starts while the Cloud is away tries again, as a supervisor would. */
async function startAgent(agent: LocalAgent): Promise<void> {
  await agent.run();
}

/** Each run is asked for under a key, and again until there is an answer: there must be one run for each key. */
function startLoad(clouds: readonly Cloud[], flowId: string, ledger: ClientLedger): FaultBed["load"] {
  const stopping = new AbortController();
  const ask = async () => {
    for (let asked = 0; !stopping.signal.aborted; asked++) {
      while (ledger.created.size - ledger.ended.size >= UNDER_WAY && !stopping.signal.aborted) await sleep(5);
      await createOnce(clouds[asked % clouds.length]!, flowId, `run ${asked}`);
    }
  };
  const done = ask();
  done.catch(() => {});
  return {
    stop() {
      stopping.abort();
      return done;
    },
  };
}

async function createOnce(cloud: Cloud, flowId: string, idempotencyKey: string): Promise<void> {
  const ask = () => cloud.createFlowRun({ flowId, idempotencyKey });
  await eventually(ask, {
    timeoutMs: SETTLE_MS,
    everyMs: 50,
    message: `an answer to the wish for "${idempotencyKey}"`,
  });
}
