import {
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
import type { HookConfig, HookType } from "./hook-config.js";
import { eventText, type HookEvent, type HookHosts, hookRequests, publicHosts, toHookEvent } from "./hook-event.js";
import { HookIndex } from "./hook-index.js";
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
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DEFAULT_TIMEOUT_MS = 10 * SECOND_MS;
/** After the first attempt, and each further one: a restart, an outage, a night. The last attempt is half a day after the first. */
export const RETRY_PAUSES_MS: readonly number[] = [
  5 * SECOND_MS,
  30 * SECOND_MS,
  2 * MINUTE_MS,
  10 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  4 * HOUR_MS,
  6 * HOUR_MS,
];
/** Longer than an attempt takes, with ten recipients of 10 s each: then its server has died, and another one sends it again. */
const CLAIM_MS = 2 * MINUTE_MS;
const MAX_UNDER_WAY = 32;
/** A receiver that hangs holds no more places than that. */
const MAX_UNDER_WAY_A_HOOK = 4;
/** How many due rows are looked at for those that may go now. */
const LOOK = 256;
/** How long it can be read how a delivery went. */
const KEPT_MS = 7 * 24 * HOUR_MS;
const STOP_GRACE_MS = 2 * SECOND_MS;

type Parts = Pick<ServerParts, "database" | "clock" | "log" | "vault">;

/** The service that tells hooks of the states that were noted for them. */
export class HookDeliveries {
  readonly name = "cloud hooks";
  readonly periodMs = SECOND_MS;
  /** Who has hooks at all. */
  readonly index = new HookIndex();
  /** May hooks go to this machine and to private networks? */
  readonly allowPrivate: boolean;
  readonly #parts: Parts;
  readonly #options: HookOptions;
  readonly #hosts: HookHosts;
  readonly #stop = new AbortController();
  /** What is being sent, by delivery, with its hook. */
  readonly #underWay = new Map<string, { hookId: string; done: Promise<void> }>();
  #cleanedAt = 0;

  constructor(parts: Parts, options: HookOptions = {}) {
    this.allowPrivate = options.allowPrivate ?? false;
    this.#parts = parts;
    this.#options = options;
    this.#hosts = { ...publicHosts, ...options.hosts };
  }

  /** Begins to send what is due, and does not wait for the answers: one receiver that hangs must not hold up the others. */
  async tick(): Promise<void> {
    if (this.#stop.signal.aborted) return;
    const { database, clock } = this.#parts;
    const now = clock.now();
    await this.#clean(now);
    if (this.#underWay.size >= MAX_UNDER_WAY || !(await isDeliveryDue(database, toInstant(now)))) return;
    for (const row of await this.#claim(now)) {
      const done = this.#deliver(row).finally(() => this.#underWay.delete(row.id));
      this.#underWay.set(row.id, { hookId: row.cloud_hook_id, done });
    }
  }

  /** Waits for what is being sent. */
  async settled(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.all([...this.#underWay.values()].map(({ done }) => done));
  }

  /** Lets what is being sent finish within two seconds, and breaks the rest off: another start sends it again. */
  async stop(): Promise<void> {
    const grace = setTimeout(() => this.#stop.abort(), STOP_GRACE_MS);
    await this.settled();
    clearTimeout(grace);
    this.#stop.abort();
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
    const at = this.#parts.clock.now();
    let sent = alreadySent;
    const requests = hookRequests(type, config, event, { at, hosts: this.#hosts });
    const { timeoutMs = DEFAULT_TIMEOUT_MS } = this.#options;
    const { allowPrivate } = this;
    for (const request of requests.slice(alreadySent)) {
      try {
        await sendRequest(request, { timeoutMs, allowPrivate, signal: this.#stop.signal });
        sent += 1;
      } catch (error) {
        throw error instanceof NotTaken ? new PartlySent(error, sent) : error;
      }
    }
    return sent;
  }

  async #clean(now: number): Promise<void> {
    if (now - this.#cleanedAt < HOUR_MS) return;
    this.#cleanedAt = now;
    await this.#parts.database.write((transaction) => deleteOldDeliveries(transaction, toInstant(now - KEPT_MS)));
  }

  async #claim(now: number): Promise<DeliveryRow[]> {
    const busy = new Map<string, number>();
    for (const { hookId } of this.#underWay.values()) busy.set(hookId, (busy.get(hookId) ?? 0) + 1);
    const without = [...busy].flatMap(([hookId, count]) => (count >= MAX_UNDER_WAY_A_HOOK ? [hookId] : []));
    const times = { now: toInstant(now), until: toInstant(now + CLAIM_MS) };
    return this.#parts.database.write(async (transaction) => {
      await transaction.lock("cloud hooks");
      const due = await lockDueDeliveries(transaction, { now: times.now, without, limit: LOOK });
      const places = new Map(busy);
      const claimed: DeliveryRow[] = [];
      for (const row of due) {
        const taken = places.get(row.cloud_hook_id) ?? 0;
        const full = this.#underWay.size + claimed.length >= MAX_UNDER_WAY;
        if (full || taken >= MAX_UNDER_WAY_A_HOOK || this.#underWay.has(row.id)) continue;
        places.set(row.cloud_hook_id, taken + 1);
        claimed.push({ ...row, attempts: row.attempts + 1 });
      }
      await claimDeliveries(transaction, claimed, times);
      return claimed;
    });
  }

  /** Never rejects: what goes wrong is written beside the delivery, or else it is due again when its claim ends. */
  async #deliver(row: DeliveryRow): Promise<void> {
    try {
      const outcome = await this.#attempt(row);
      if (outcome) await this.#parts.database.write((transaction) => writeDelivery(transaction, outcome));
    } catch (error) {
      const message = `How hook ${row.cloud_hook_id} was told of a state could not be noted.`;
      this.#parts.log({ level: "error", message, error });
    }
  }

  /** @returns what is to be written of it; undefined when it was written already */
  async #attempt(row: DeliveryRow): Promise<DeliveryOutcome | undefined> {
    const { database, vault } = this.#parts;
    const hook = await findCloudHook(database, row.tenant_id, row.cloud_hook_id);
    if (hook?.active !== 1) return this.#givenUp(row, hook ? "the hook is inactive" : "the hook was deleted");
    const event = await hookEventRow(database, row.flow_run_id, row.version);
    if (!event) return this.#givenUp(row, "the state is no longer there");
    const told = toHookEvent(row.id, event);
    if (hook.type === "PREFECT_MESSAGE") return this.#keepMessage(row, told);
    try {
      const of = { tenantId: row.tenant_id, kind: "cloud_hook", name: hook.id } as const;
      const config = JSON.parse(vault.open(of, hook.sealed)) as HookConfig;
      const sent = await this.#send(hook.type as HookType, config, told, row.sent);
      return this.#delivered(row, sent);
    } catch (error) {
      return this.#failed(row, error);
    }
  }

  /** In the transaction that notes it as delivered: exactly once. */
  async #keepMessage(row: DeliveryRow, event: HookEvent): Promise<undefined> {
    const outcome = this.#delivered(row, 1);
    await this.#parts.database.write(async (transaction) => {
      await insertMessage(transaction, toMessage(event, outcome.updated));
      await writeDelivery(transaction, outcome);
    });
  }

  #delivered({ id, attempts }: DeliveryRow, sent: number): DeliveryOutcome {
    const now = toInstant(this.#parts.clock.now());
    return { id, updated: now, attempts, sent, next_attempt_at: null, delivered_at: now, last_error: null };
  }

  #failed(row: DeliveryRow, error: unknown): DeliveryOutcome {
    const now = this.#parts.clock.now();
    const sent = error instanceof PartlySent ? error.sent : row.sent;
    const message = error instanceof Error ? error.message : String(error);
    const updated = toInstant(now);
    // The server stops: that is no fault of the receiver's.
    if (this.#stop.signal.aborted) {
      const attempts = row.attempts - 1;
      return { ...row, updated, attempts, sent, next_attempt_at: updated };
    }
    const pauseMs = RETRY_PAUSES_MS[row.attempts - 1];
    if (pauseMs === undefined) return this.#givenUp({ ...row, sent }, message);
    return { ...row, updated, sent, next_attempt_at: toInstant(now + pauseMs), last_error: message };
  }

  #givenUp(row: DeliveryRow, why: string): DeliveryOutcome {
    const message = `Hook ${row.cloud_hook_id} was not told of state ${row.version} of flow run ${row.flow_run_id}, after ${row.attempts} attempts: ${why}.`;
    this.#parts.log({ level: "error", message });
    return { ...row, updated: toInstant(this.#parts.clock.now()), next_attempt_at: null, last_error: why };
  }
}

/** Of several requests, some may have been taken: only the others are sent again. */
class PartlySent extends Error {
  readonly sent: number;
  constructor(cause: NotTaken, sent: number) {
    super(cause.message, { cause });
    this.sent = sent;
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
