import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Gauge, Registry } from "prom-client";
import { readLoad } from "../../db/queries/load.js";
import { type ServerParts, toInstant } from "../parts.js";
import type { ServiceStatus } from "../services/service-runner.js";
import { version } from "../version.js";
import { BOUNDS_MS, type Counts, type Durations } from "./counts.js";

/** What is known only to the parts that hold it. */
export interface Gauges {
  readonly subscriptions: () => number;
  readonly connections: () => number;
  readonly services: () => readonly ServiceStatus[];
}

/** The server's metrics in Prometheus' text form. */
export interface Metrics {
  readonly contentType: string;
  text(): Promise<string>;
  close(): void;
}

/** An agent that asked within this time counts as seen: what Prefect calls healthy. */
const SEEN_MS = 60_000;
/** What is counted in the database is not counted again sooner, however often it is asked for. */
const LOAD_KEPT_MS = 5_000;
const LOOP_RESOLUTION_MS = 20;
const QUANTILES = [0.5, 0.99] as const;

/** Loads prom-client and makes its metrics; done when they are first asked for. */
export async function openMetrics(parts: ServerParts, gauges: Gauges): Promise<Metrics> {
  const { Registry, Gauge: GaugeClass } = await import("prom-client");
  const registry = new Registry();
  const delay = monitorEventLoopDelay({ resolution: LOOP_RESOLUTION_MS });
  delay.enable();
  const gauge = (name: string, help: string, labelNames: string[] = []) =>
    new GaugeClass({ name, help, labelNames, registers: [registry] });
  const info = gauge("millrace_info", "1; its label says which version runs.", ["version"]);
  info.set({ version }, 1);
  const loop = gauge("millrace_event_loop_delay_seconds", "How late timers come, since the last time asked.", [
    "quantile",
  ]);
  const memory = gauge("millrace_memory_bytes", "The process's memory.", ["kind"]);
  const subscriptions = gauge("millrace_subscriptions", "Open subscriptions.");
  const connections = gauge("millrace_open_connections", "Open connections of agents.");
  const services = serviceGauges(gauge);
  const load = loadGauges(gauge);
  const readLoadSometimes = keepFor(LOAD_KEPT_MS, () => readNow(parts));
  return {
    contentType: registry.contentType,
    async text() {
      for (const quantile of QUANTILES)
        loop.set({ quantile: `${quantile}` }, delayOf(delay.percentile(quantile * 100)));
      delay.reset();
      const { rss, heapUsed } = process.memoryUsage();
      memory.set({ kind: "rss" }, rss);
      memory.set({ kind: "heap" }, heapUsed);
      subscriptions.set(gauges.subscriptions());
      connections.set(gauges.connections());
      setServices(services, gauges.services());
      setLoad(load, await readLoadSometimes());
      return `${await registry.metrics()}${countsText(parts.counts)}`;
    },
    close: () => {
      delay.disable();
      (registry as Registry).clear();
    },
  };
}

/** Node measures the time from one timer to the next, in nanoseconds: what they were set to is no delay. */
function delayOf(measuredNs: number): number {
  return Math.max(0, measuredNs / 1e9 - LOOP_RESOLUTION_MS / 1e3);
}

type MakeGauge = (name: string, help: string, labelNames?: string[]) => Gauge;

const serviceGauges = (gauge: MakeGauge) => ({
  took: gauge("millrace_service_round_seconds", "How long the service's last round took.", ["service"]),
  failed: gauge("millrace_service_failed", "1 when the service's last round failed.", ["service"]),
});

function setServices({ took, failed }: ReturnType<typeof serviceGauges>, statuses: readonly ServiceStatus[]): void {
  for (const { name: service, lastTookMs, lastError } of statuses) {
    took.set({ service }, (lastTookMs ?? 0) / 1_000);
    failed.set({ service }, lastError === null ? 0 : 1);
  }
}

const loadGauges = (gauge: MakeGauge) => ({
  answers: gauge("millrace_database_up", "1 when the database answered."),
  dueRuns: gauge("millrace_due_runs", "Flow runs that are due and that no agent has taken."),
  waitingRuns: gauge("millrace_waiting_runs", "Flow runs that wait, due or not."),
  leases: gauge("millrace_leases", "Flow runs that an agent holds."),
  agents: gauge("millrace_agents_seen", "Agents that asked within the last minute."),
});

type Load = Awaited<ReturnType<typeof readLoad>> | undefined;

/** Where the database is away, what was counted last stays out of the answer: an old number would be a lie. */
function setLoad({ answers, ...rest }: ReturnType<typeof loadGauges>, load: Load): void {
  answers.set(load === undefined ? 0 : 1);
  for (const [name, gauge] of Object.entries(rest)) {
    if (load === undefined) gauge.set(Number.NaN);
    else gauge.set(load[name as keyof typeof rest]);
  }
}

async function readNow({ database, clock, log }: ServerParts): Promise<Load> {
  const now = clock.now();
  try {
    return await readLoad(database, toInstant(now), toInstant(now - SEEN_MS));
  } catch (error) {
    log({ level: "error", message: "The database could not be asked for the metrics.", error });
    return undefined;
  }
}

function keepFor<T>(ms: number, read: () => Promise<T>): () => Promise<T> {
  let kept: { until: number; value: Promise<T> } | undefined;
  return () => {
    if (kept === undefined || kept.until <= performance.now()) kept = { until: performance.now() + ms, value: read() };
    return kept.value;
  };
}

/** Counters and histograms, which are kept as plain numbers, in the same text form as prom-client's. */
function countsText(counts: Counts): string {
  const lines: string[] = [];
  const head = (name: string, type: string, help: string) =>
    lines.push(`# HELP ${name} ${help}`, `# TYPE ${name} ${type}`);
  head("millrace_states_written_total", "counter", "States written.");
  lines.push(`millrace_states_written_total{of="flow_run"} ${counts.flowRunStates}`);
  lines.push(`millrace_states_written_total{of="task_run"} ${counts.taskRunStates}`);
  head("millrace_claims_total", "counter", "Flow runs given to agents.");
  lines.push(`millrace_claims_total ${counts.claims}`);
  head("millrace_requests_total", "counter", "Requests by their first root field and what became of them.");
  for (const [operation, { outcomes }] of counts.requests) {
    for (const [outcome, times] of Object.entries(outcomes)) {
      if (times > 0) lines.push(`millrace_requests_total{operation="${operation}",outcome="${outcome}"} ${times}`);
    }
  }
  const request = "millrace_request_duration_seconds";
  head(request, "histogram", "How long requests took.");
  for (const [operation, { durations }] of counts.requests)
    lines.push(...histogram(request, `operation="${operation}"`, durations));
  const write = "millrace_database_write_seconds";
  head(write, "histogram", "How long transactions took, with their wait for their turn.");
  lines.push(...histogram(write, "", counts.writes));
  return `\n${lines.join("\n")}\n`;
}

function histogram(name: string, label: string, { counts, sumMs }: Durations): string[] {
  let sum = 0;
  const before = label === "" ? "" : `${label},`;
  const buckets = counts.map((count, place) => {
    sum += count;
    const bound = BOUNDS_MS[place];
    return `${name}_bucket{${before}le="${bound === undefined ? "+Inf" : bound / 1_000}"} ${sum}`;
  });
  const braces = label === "" ? "" : `{${label}}`;
  return [...buckets, `${name}_sum${braces} ${sumMs / 1_000}`, `${name}_count${braces} ${sum}`];
}
