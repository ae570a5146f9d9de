import { dueBetween, earliestDue } from "../../db/queries/claim.js";
import { type ServerParts, toInstant } from "../parts.js";

/** The database is looked at so often at least: another server may have scheduled a run. */
const MAX_WAIT_MS = 30_000;

/**
 * Wakes agents when a run that was scheduled for later becomes due. It sleeps until the earliest one that it knows of;
 * `note` moves that forward.
 */
export class DueTimer {
  readonly #parts: ServerParts;
  /** Runs due until then have been announced. */
  #announcedUntil: number;
  #nextAt = Number.POSITIVE_INFINITY;
  #timer: NodeJS.Timeout | undefined;
  #started = false;
  /** The last look, settled or not; it never rejects. */
  #looking: Promise<void> = Promise.resolve();

  constructor(parts: ServerParts) {
    this.#parts = parts;
    this.#announcedUntil = parts.clock.now();
  }

  async start(): Promise<void> {
    this.#started = true;
    await this.#look();
  }

  /** A run is due at this time; ISO 8601. */
  note(dueAt: string): void {
    const at = Date.parse(dueAt);
    if (at >= this.#nextAt) return;
    this.#nextAt = at;
    this.#arm();
  }

  /** Announces what has become due, if anything has. */
  async tick(): Promise<void> {
    const now = this.#parts.clock.now();
    // In the future: the clock was put back, and nothing would be announced until it is there again.
    const isBehind = now < this.#announcedUntil;
    if (isBehind || now >= this.#nextAt || now - this.#announcedUntil >= MAX_WAIT_MS) await this.#look();
  }

  /** Waits for a look that is under way. */
  async stop(): Promise<void> {
    this.#started = false;
    clearTimeout(this.#timer);
    await this.#looking;
  }

  #look(): Promise<void> {
    const done = this.#looking.then(() => this.#announce());
    this.#looking = done.catch(() => {});
    return done;
  }

  async #announce(): Promise<void> {
    const now = this.#parts.clock.now();
    const { database, events } = this.#parts;
    // What is noted while the database is asked must not be forgotten over its answer.
    this.#nextAt = Number.POSITIVE_INFINITY;
    const [after, until] = [toInstant(this.#announcedUntil), toInstant(now)];
    for (const due of await dueBetween(database, after, until)) {
      events.wakeFor({ tenantId: due.tenant_id, labels: JSON.parse(due.labels), flowGroupId: due.flow_group_id });
    }
    this.#announcedUntil = now;
    const next = await earliestDue(database, until);
    if (next !== null) this.#nextAt = Math.min(this.#nextAt, Date.parse(next));
    this.#arm();
  }

  #arm(): void {
    clearTimeout(this.#timer);
    if (!this.#started) return;
    const wait = Math.min(MAX_WAIT_MS, Math.max(0, this.#nextAt - this.#parts.clock.now()));
    this.#timer = setTimeout(() => {
      this.#look().catch((error) => {
        this.#parts.log({ level: "error", message: "Runs that became due could not be announced.", error });
        this.#nextAt = Number.POSITIVE_INFINITY;
        this.#arm();
      });
    }, wait);
    this.#timer.unref();
  }
}
