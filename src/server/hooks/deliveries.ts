import {
  bringDeliveriesBack,
  claimDeliveries,
  type DeliveryOutcome,
  type DeliveryRow,
  deleteOldDeliveries,
  findCloudHook,
  hookEventRow,
  isDeliveryDue,
  lockDueDeliveries,
  writeDelivery,
} from "../../db/queries/cloud-hooks.js";
import { insertMessage } from "../../db/queries/messages.js";
import { type ServerParts, toInstant } from "../parts.js";
import { claimMs, delivered, failed, givenUp, PartlySent } from "./attempts.js";
import type { HookConfig, HookType } from "./hook-config.js";
import { eventText, type HookEvent, type HookHosts, hookRequests, publicHosts, toHookEvent } from "./hook-event.js";
import { HookIndex } from "./hook-index.js";
import { Places } from "./places.js";
import { NotTaken, sendRequest } from "./send-request.js";

/** How hooks are sent; all of it optional. */
export interface HookOptions {
  /** May hooks go to this machine and to private networks? Default false. */
  allowPrivate?: boolean;
  /** How long one request may take, in milliseconds. Default 10,000. */
  timeoutMs?: number;
  /** Where Twilio and PagerDuty are. Default: where they are. */
  hosts?: Partial<HookHosts>;
}

const SECOND_MS = 1_000;
const HOUR_MS = 3_600 * SECOND_MS;
const DEFAULT_TIMEOUT_MS = 10 * SECOND_MS;
/** How many due rows are looked at, at a time, for those that may go now. */
const LOOK = 64;
/** How long it can be read how a delivery went. */
const KEPT_MS = 7 * 24 * HOUR_MS;
/** Clocks of several servers are never quite the same. */
const CLOCKS_APART_MS = 60 * SECOND_MS;
const STOP_GRACE_MS = 2 * SECOND_MS;

type Parts = Pick<ServerParts, "database" | "clock" | "log" | "vault">;

/**
 * Tells hooks of the states that were noted for them. Each server takes what is due, up to some at a time for each hook and
 * tenant, holds it for as long as an attempt can take, and writes how it went; what nobody wrote of is due again then.
 */
export class HookDeliveries {
  /** Who has hooks at all. */
  readonly index = new HookIndex();
  /** May hooks go to this machine and to private networks? */
  readonly allowPrivate: boolean;
  readonly #parts: Parts;
  readonly #timeoutMs: number;
  readonly #hosts: HookHosts;
  /** No more is taken. */
  #stopping = false;
  /** What is under way is broken off. */
  readonly #stop = new AbortController();
  /** What is being sent, by delivery. */
  readonly #underWay = new Map<string, { row: DeliveryRow; done: Promise<void> }>();
  /** The round under way. */
  #taking: Promise<void> | undefined;
  /** Did the last round leave something for want of places? */
  #hasMore = false;
  #tendedAt = Number.NEGATIVE_INFINITY;
  #seenAt = Number.NEGATIVE_INFINITY;

  constructor(parts: Parts, options: HookOptions = {}) {
    this.allowPrivate = options.allowPrivate ?? false;
    this.#parts = parts;
    this.#timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.#hosts = { ...publicHosts, ...options.hosts };
  }

  /** Begins to send what is due, and does not wait for the answers: one receiver that hangs must not hold up the others. */
  async tick(): Promise<void> {
    if (this.#stopping) return;
    const { database, clock } = this.#parts;
    const now = clock.now();
    await this.#tend(now);
    if (await isDeliveryDue(database, toInstant(now))) await this.#take();
  }

  /** Waits for what is being sent, and for what is taken in its place. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0 || this.#taking) {
      await Promise.allSettled([this.#taking, ...[...this.#underWay.values()].map(({ done }) => done)]);
    }
  }

  /**
   * Takes no more, lets what is being sent finish within two seconds, and breaks the rest off: the next start sends it again.
   * @param hurry breaks it off at once
   */
  async stop(hurry?: AbortSignal): Promise<void> {
    this.#stopping = true;
    const breakOff = () => this.#stop.abort();
    const grace = setTimeout(breakOff, STOP_GRACE_MS);
    if (hurry?.aborted) breakOff();
    hurry?.addEventListener("abort", breakOff, { once: true });
    await this.settled();
    clearTimeout(grace);
    breakOff();
  }

  /** Sends one event now, once. @returns null, or why it was not taken */
  async trySending(type: HookType, config: HookConfig, event: HookEvent): Promise<string | null> {
    try {
      await this.#send(type, config, event, 0);
      return null;
    } catch (error) {
      if (error instanceof PartlySent) return error.message;
      throw error;
    }
  }

  /** @returns how many of its requests were taken @throws PartlySent */
  async #send(type: HookType, config: HookConfig, event: HookEvent, alreadySent: number): Promise<number> {
    const requests = hookRequests(type, config, event, { at: this.#parts.clock.now(), hosts: this.#hosts });
    const options = { timeoutMs: this.#timeoutMs, allowPrivate: this.allowPrivate, signal: this.#stop.signal };
    let sent = alreadySent;
    for (const request of requests.slice(alreadySent)) {
      try {
        await sendRequest(request, options);
        sent += 1;
      } catch (error) {
        throw error instanceof NotTaken ? new PartlySent(error, sent) : error;
      }
    }
    return sent;
  }

  /** When the server starts, when the clock was put back, and each hour. */
  async #tend(now: number): Promise<void> {
    const wasPutBack = now < this.#seenAt - SECOND_MS;
    this.#seenAt = now;
    if (!wasPutBack && now - this.#tendedAt < HOUR_MS) return;
    await this.#parts.database.write(async (transaction) => {
      await transaction.lock("cloud hooks");
      await deleteOldDeliveries(transaction, toInstant(now - KEPT_MS));
      await bringDeliveriesBack(transaction, { now: toInstant(now), after: toInstant(now + CLOCKS_APART_MS) });
    });
    this.#tendedAt = now;
  }

  /** One round at a time; what ends meanwhile begins another. */
  #take(): Promise<void> {
    this.#taking ??= this.#fillPlaces().finally(() => {
      this.#taking = undefined;
    });
    return this.#taking;
  }

  async #fillPlaces(): Promise<void> {
    this.#hasMore = false;
    for (const row of await this.#claim(this.#parts.clock.now())) {
      const done = this.#deliver(row).finally(() => this.#left(row));
      this.#underWay.set(row.id, { row, done });
    }
  }

  /** A place came free. */
  #left({ id }: DeliveryRow): void {
    this.#underWay.delete(id);
    if (!this.#hasMore || this.#stopping) return;
    this.#take().catch((error: unknown) => {
      this.#parts.log({ level: "error", message: "What cloud hooks are to be told could not be looked up.", error });
    });
  }

  #claim(now: number): Promise<DeliveryRow[]> {
    const times = { now: toInstant(now), until: toInstant(now + claimMs(this.#timeoutMs)) };
    return this.#parts.database.write(async (transaction) => {
      await transaction.lock("cloud hooks");
      const places = new Places([...this.#underWay.values()].map(({ row }) => row));
      const claimed: DeliveryRow[] = [];
      let due: DeliveryRow[];
      // A hook with a long line behind it must not hide the others: once it is full, the look goes past it.
      do {
        due = await lockDueDeliveries(transaction, { now: times.now, ...places.full(), limit: LOOK });
        const taken = due.filter((row) => places.take(row)).map((row) => ({ ...row, attempts: row.attempts + 1 }));
        await claimDeliveries(transaction, taken, times);
        claimed.push(...taken);
        if (taken.length < due.length) this.#hasMore = true;
        if (taken.length === 0) break;
      } while (due.length === LOOK);
      return claimed;
    });
  }

  /** Never rejects: what goes wrong is written beside the delivery, or else it is due again when its claim ends. */
  async #deliver(row: DeliveryRow): Promise<void> {
    const { database, log } = this.#parts;
    try {
      const outcome = await this.#attempt(row);
      await database.write((transaction) => writeDelivery(transaction, outcome, row.attempts));
      if (outcome.next_attempt_at !== null || outcome.delivered_at !== null) return;
      const message = `Hook ${row.cloud_hook_id} was not told of state ${row.version} of flow run ${row.flow_run_id}, after ${row.attempts} attempts: ${outcome.last_error}.`;
      log({ level: "error", message });
    } catch (error) {
      const message = `How hook ${row.cloud_hook_id} was told of a state could not be noted.`;
      log({ level: "error", message, error });
    }
  }

  async #attempt(row: DeliveryRow): Promise<DeliveryOutcome> {
    const { database, vault, clock } = this.#parts;
    const hook = await findCloudHook(database, row.tenant_id, row.cloud_hook_id);
    if (hook?.active !== 1) return givenUp(row, hook ? "the hook is inactive" : "the hook was deleted", clock.now());
    const state = await hookEventRow(database, row.flow_run_id, row.version);
    if (!state) return givenUp(row, "the state is no longer there", clock.now());
    const event = toHookEvent(row.id, state);
    try {
      if (hook.type === "PREFECT_MESSAGE") {
        // Under the delivery's own id: however often, there is one.
        await database.write((transaction) => insertMessage(transaction, toMessage(event, toInstant(clock.now()))));
        return delivered(row, 1, clock.now());
      }
      const of = { tenantId: row.tenant_id, kind: "cloud_hook", name: hook.id } as const;
      const config = JSON.parse(vault.open(of, hook.sealed)) as HookConfig;
      return delivered(row, await this.#send(hook.type as HookType, config, event, row.sent), clock.now());
    } catch (error) {
      return failed(row, error, clock.now(), this.#stop.signal.aborted);
    }
  }
}

/** An event as a message in the Cloud. */
export function toMessage(event: HookEvent, now: string): Parameters<typeof insertMessage>[1] {
  return {
    id: event.id,
    created: now,
    updated: now,
    tenant_id: event.tenant.id,
    read: 0,
    type: "CLOUD_HOOK",
    text: eventText(event),
    content: JSON.stringify({ type: "CLOUD_HOOK", event }),
  };
}
