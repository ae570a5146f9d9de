import { readServiceMark, writeServiceMark } from "../../db/queries/services.js";
import { type ServerParts, toInstant } from "../parts.js";

/** What a service has to know of its round. Milliseconds since 1970. */
export interface Round {
  readonly nowMs: number;
  /**
   * Since when this server has run without a pause: silence from before is nobody's fault. It begins anew when the machine
   * slept, and when the clock was put forward or back.
   */
  readonly awakeSinceMs: number;
  /** Was the clock put back, or this server started, since this service's last round? Times may lie in the future then. */
  readonly mayBeBehind: boolean;
  /** When the service last finished a round, here or on another server; null: never. Known for those that are done `once`. */
  readonly markMs: number | null;
}

/** Something that the server does again and again. */
export interface Service {
  /** Stands in logs, and in the database as the name of its mark. */
  readonly name: string;
  /** 0: in each round of the server. */
  readonly periodMs: number;
  /**
   * `each`: each server does it for itself. `one`: one server at a time, for all servers of the database. `once`: the same, and
   * not again within the period. What it does must be right also where two do it: a server may lose its connection meanwhile.
   */
  readonly servers: "each" | "one" | "once";
  tick(parts: ServerParts, round: Round): Promise<void>;
}

/** How a service is doing, for metrics and health checks. */
export interface ServiceStatus {
  readonly name: string;
  readonly periodMs: number;
  /** ISO 8601; null: not yet, here. */
  readonly lastRoundAt: string | null;
  readonly lastTookMs: number | null;
  /** Why the last round failed; null: it did not. */
  readonly lastError: string | null;
}

/**
 * When so many rounds were missed, the server did not run: the machine slept, something blocked it, or the clock was put
 * forward. With rounds of a second that is half of what an agent waits between two renewals of its usual lease.
 */
const OUTAGE_ROUNDS = 5;
/** Clocks that are set right all the time go back by milliseconds. */
const STEP_BACK_MS = 1_000;
/** Of a period: a round that another server did within it is not done again. Less than 1, since timers are not exact. */
const RECENT = 0.5;

interface Slot {
  readonly service: Service;
  /** How much of its period has passed; it starts full. */
  waitedMs: number;
  mayBeBehind: boolean;
  /** Its rounds, one after the other; it never rejects. */
  last: Promise<void>;
  waiting: number;
  status: ServiceStatus;
}

/**
 * Runs services, each in its own period and never twice at once. Periods are measured on a clock that is never put back. A
 * service that fails is logged, holds up no other, and is tried again a period later.
 */
export class ServiceRunner {
  readonly #parts: ServerParts;
  readonly #slots: readonly Slot[];
  readonly #tickMs: number;
  readonly #elapsed: () => number;
  #elapsedAt: number;
  #seenMs: number;
  #awakeSinceMs: number;
  #timer: NodeJS.Timeout | undefined;

  constructor(parts: ServerParts, services: readonly Service[], tickMs: number) {
    this.#parts = parts;
    this.#tickMs = tickMs;
    this.#elapsed = parts.clock.elapsed ?? parts.clock.now;
    this.#elapsedAt = this.#elapsed();
    this.#seenMs = parts.clock.now();
    this.#awakeSinceMs = this.#seenMs;
    this.#slots = services.map((service) => ({
      service,
      waitedMs: service.periodMs,
      mayBeBehind: true,
      last: Promise.resolve(),
      waiting: 0,
      status: {
        name: service.name,
        periodMs: service.periodMs,
        lastRoundAt: null,
        lastTookMs: null,
        lastError: null,
      },
    }));
  }

  get statuses(): readonly ServiceStatus[] {
    return this.#slots.map(({ status }) => status);
  }

  start(): void {
    this.#timer = setInterval(() => {
      this.#look();
      // One that is still at it is left to it, and the others do not wait for it.
      for (const slot of this.#slots) if (slot.waiting === 0 && isDue(slot)) void this.#run(slot);
    }, this.#tickMs);
    this.#timer.unref();
  }

  /** A round of each service that is due, one after the other in their order. It sees what has happened before the call. */
  async tick(): Promise<void> {
    this.#look();
    for (const slot of this.#slots) if (isDue(slot)) await this.#run(slot);
  }

  /** Waits for rounds under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await Promise.all(this.#slots.map(({ last }) => last));
  }

  /** Looks at both clocks: how much time has passed, and whether the wall clock tells the same. */
  #look(): void {
    const elapsedAt = this.#elapsed();
    const passedMs = Math.max(0, elapsedAt - this.#elapsedAt);
    this.#elapsedAt = elapsedAt;
    for (const slot of this.#slots) slot.waitedMs += passedMs;
    const nowMs = this.#parts.clock.now();
    const isBack = nowMs < this.#seenMs - STEP_BACK_MS;
    if (isBack || nowMs - this.#seenMs > OUTAGE_ROUNDS * this.#tickMs) this.#awakeSinceMs = nowMs;
    if (isBack) for (const slot of this.#slots) slot.mayBeBehind = true;
    this.#seenMs = nowMs;
  }

  #run(slot: Slot): Promise<void> {
    slot.waitedMs = 0;
    slot.waiting += 1;
    slot.last = slot.last
      .then(() => this.#round(slot))
      .finally(() => {
        slot.waiting -= 1;
      });
    return slot.last;
  }

  async #round(slot: Slot): Promise<void> {
    const { service } = slot;
    const { log } = this.#parts;
    // Again, since it may have waited for its turn: what it is told of now and of the clock's steps belongs together.
    this.#look();
    const nowMs = this.#seenMs;
    const begunAt = performance.now();
    let lastError: string | null = null;
    try {
      await this.#tickOf(slot, nowMs);
    } catch (error) {
      // What was put off because the clock went back is still to be done.
      lastError = error instanceof Error ? error.message : String(error);
      log({ level: "error", message: `The service "${service.name}" failed; it goes on in its next round.`, error });
    }
    const lastTookMs = performance.now() - begunAt;
    slot.status = { ...slot.status, lastRoundAt: toInstant(nowMs), lastTookMs, lastError };
  }

  async #tickOf(slot: Slot, nowMs: number): Promise<void> {
    const { mayBeBehind } = slot;
    // Taken away first: the clock may go back once more meanwhile, and that is the next round's.
    slot.mayBeBehind = false;
    let isDone = false;
    try {
      isDone = await this.#tickWith(slot.service, {
        nowMs,
        awakeSinceMs: this.#awakeSinceMs,
        mayBeBehind,
        markMs: null,
      });
    } finally {
      if (!isDone && mayBeBehind) slot.mayBeBehind = true;
    }
  }

  /** @returns false where another server was at it */
  async #tickWith(service: Service, round: Round): Promise<boolean> {
    const { database } = this.#parts;
    const { nowMs, mayBeBehind } = round;
    if (service.servers === "each") {
      await service.tick(this.#parts, round);
      return true;
    }
    return database.exclusively(`service ${service.name}`, async () => {
      const isOnce = service.servers === "once";
      const mark = isOnce ? await readServiceMark(database, service.name) : null;
      const markMs = mark === null ? null : Date.parse(mark);
      if (!mayBeBehind && markMs !== null && markMs <= nowMs && nowMs - markMs < service.periodMs * RECENT) return;
      await service.tick(this.#parts, { ...round, markMs });
      if (isOnce) await database.write((transaction) => writeServiceMark(transaction, service.name, toInstant(nowMs)));
    });
  }
}

const isDue = ({ service, waitedMs }: Slot): boolean => waitedMs >= service.periodMs;
