import { endSubscriptionsOfLostKeys } from "../access/key-watch.js";
import type { DueTimer } from "./due-timer.js";
import { DEFAULT_SILENT_AFTER_MS, killZombies, raiseRuns } from "./heartbeats.js";
import { DEFAULT_LATE_AFTER_MS, noteLateRuns } from "./late-runs.js";
import { raiseQueuedRuns } from "./queued-runs.js";
import { bringLeasesBack, reapLeases } from "./reaper.js";
import { deleteOld, type RetentionOptions } from "./retention.js";
import { ScheduleRounds } from "./schedule-rounds.js";
import { DEFAULT_MISSED_AFTER_MS } from "./scheduler.js";
import type { Service } from "./service-runner.js";
import { lookThroughLines } from "./slot-lines.js";

/** Periods and thresholds of the server's services, in milliseconds. */
export interface ServiceOptions {
  scheduler?: {
    /** Default 30,000. Whoever changes a schedule has it looked at at once. */
    everyMs?: number;
    /** A start time is missed when the Cloud did not run then, nor so long after it. Default 300,000. */
    missedAfterMs?: number;
  };
  /** Zombie killer and Lazarus: for runs that Prefect's client runs. */
  heartbeats?: {
    /** Default 60,000. */
    everyMs?: number;
    /** A run is silent when its last heartbeat is so old. Default 600,000. */
    silentAfterMs?: number;
  };
  late?: {
    /** Default 5,000. */
    everyMs?: number;
    /** A run is late when no agent has taken it so long after it was due. Default 15,000. */
    afterMs?: number;
  };
  retention?: RetentionOptions & {
    /** Default 600,000. */
    everyMs?: number;
  };
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
/** What agents and tokens did is written down so often, and no more is lost in a crash. */
const PRESENCE_MS = 5 * SECOND_MS;

/** So long a slot may stay free that nobody was told of. */
const SLOT_LINES_MS = 30 * SECOND_MS;

/** All services of a server, in the order in which a round runs them. */
export function makeServices(dueTimer: DueTimer, options: ServiceOptions): Service[] {
  const { scheduler = {}, heartbeats = {}, late = {}, retention = {} } = options;
  const { silentAfterMs = DEFAULT_SILENT_AFTER_MS } = heartbeats;
  const rounds = new ScheduleRounds(scheduler.missedAfterMs ?? DEFAULT_MISSED_AFTER_MS);
  return [
    {
      name: "leases",
      periodMs: 0,
      servers: "one",
      tick: async (parts, { nowMs, awakeSinceMs, mayBeBehind }) => {
        if (mayBeBehind) await bringLeasesBack(parts);
        await reapLeases(parts, nowMs, awakeSinceMs);
      },
    },
    { name: "due runs", periodMs: 0, servers: "each", tick: () => dueTimer.tick() },
    { name: "cloud hooks", periodMs: 0, servers: "each", tick: (parts) => parts.hooks.tick() },
    {
      name: "presence",
      periodMs: PRESENCE_MS,
      servers: "each",
      tick: async (parts) => {
        await parts.presence.flush(parts.database);
        await endSubscriptionsOfLostKeys(parts);
      },
    },
    {
      name: "scheduler",
      periodMs: scheduler.everyMs ?? 30 * SECOND_MS,
      servers: "once",
      tick: (parts, round) => rounds.round(parts, round),
    },
    {
      name: "zombies",
      periodMs: heartbeats.everyMs ?? MINUTE_MS,
      servers: "once",
      tick: (parts, round) => killZombies(parts, round, silentAfterMs),
    },
    {
      name: "lazarus",
      periodMs: heartbeats.everyMs ?? MINUTE_MS,
      servers: "once",
      tick: async (parts, round) => {
        await raiseRuns(parts, round, silentAfterMs);
        await raiseQueuedRuns(parts, round, silentAfterMs);
      },
    },
    { name: "slot lines", periodMs: SLOT_LINES_MS, servers: "once", tick: (parts) => lookThroughLines(parts) },
    {
      name: "late runs",
      periodMs: late.everyMs ?? 5 * SECOND_MS,
      servers: "once",
      tick: (parts, round) => noteLateRuns(parts, round, late.afterMs ?? DEFAULT_LATE_AFTER_MS),
    },
    {
      name: "retention",
      periodMs: retention.everyMs ?? 10 * MINUTE_MS,
      servers: "once",
      tick: (parts, round) => deleteOld(parts, round, retention),
    },
  ];
}
