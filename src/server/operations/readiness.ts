import { tryWrite } from "../../db/queries/load.js";
import type { ServerParts } from "../parts.js";
import type { ServiceStatus } from "../services/service-runner.js";

/** What `/ready` answers. */
export interface Readiness {
  ready: boolean;
  /** `draining`: the server is being stopped. */
  status: "ready" | "draining" | "not ready";
  /** `slow`: it did not take a write in time; `failed`: it refused one. */
  database: "ok" | "slow" | "failed";
  /** `stuck`: no round for much longer than its period; `failing`: the last one failed, and it is tried again. */
  services: Record<string, "ok" | "failing" | "stuck">;
}

/** A write takes a millisecond; clients wait 15 s for an answer. */
const PROBE_MS = 2_000;
/** Whoever asks meanwhile gets the same answer: anybody may ask, and each probe is a write. */
const PROBE_KEPT_MS = 1_000;
/** A service is stuck after so many of its periods, and not before so long. */
const STUCK_PERIODS = 3;
const STUCK_MS = 60_000;

export class ReadinessProbe {
  readonly #parts: Pick<ServerParts, "database" | "clock" | "log">;
  readonly #services: () => readonly ServiceStatus[];
  readonly #startedAt: number;
  #probe: { until: number; answer: Promise<Readiness["database"]> } | undefined;
  /** Set when the server begins to stop. */
  draining = false;

  constructor(parts: Pick<ServerParts, "database" | "clock" | "log">, services: () => readonly ServiceStatus[]) {
    this.#parts = parts;
    this.#services = services;
    this.#startedAt = parts.clock.now();
  }

  async look(): Promise<Readiness> {
    const database = this.draining ? "ok" : await this.#database();
    const services = Object.fromEntries(this.#services().map((each) => [each.name, this.#stateOf(each)]));
    const ready = !this.draining && database === "ok" && !Object.values(services).includes("stuck");
    const status = ready ? "ready" : this.draining ? "draining" : "not ready";
    return { ready, status, database, services };
  }

  #database(): Promise<Readiness["database"]> {
    const now = performance.now();
    if (this.#probe === undefined || this.#probe.until <= now) {
      this.#probe = { until: now + PROBE_KEPT_MS, answer: this.#write() };
    }
    return this.#probe.answer;
  }

  async #write(): Promise<Readiness["database"]> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<"slow">((resolve) => {
      timer = setTimeout(() => resolve("slow"), PROBE_MS);
    });
    const written = this.#parts.database.write(tryWrite).then(
      () => "ok" as const,
      (error: unknown) => {
        this.#parts.log({
          level: "error",
          message: "The database took no write when the server was asked whether it is ready.",
          error,
        });
        return "failed" as const;
      },
    );
    try {
      return await Promise.race([written, late]);
    } finally {
      clearTimeout(timer);
    }
  }

  #stateOf({ periodMs, lastRoundAt, lastError }: ServiceStatus): "ok" | "failing" | "stuck" {
    const since = lastRoundAt === null ? this.#startedAt : Date.parse(lastRoundAt);
    if (this.#parts.clock.now() - since > Math.max(STUCK_MS, STUCK_PERIODS * periodMs)) return "stuck";
    return lastError === null ? "ok" : "failing";
  }
}
