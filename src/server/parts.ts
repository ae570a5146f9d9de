import type { Database } from "../db/database.js";
import type { KnownKeys } from "./access/known-keys.js";
import type { AgentEvents, Effect } from "./agents/agent-events.js";
import type { Presence } from "./agents/presence.js";
import type { HookDeliveries } from "./hooks/deliveries.js";
import type { Counts } from "./operations/counts.js";
import type { ParameterChecks } from "./registration/parameter-checks.js";
import type { Vault } from "./secrets/vault.js";
import type { Ledger } from "./states/ledger.js";

/** The server's only source of time, so that a test can choose it. Milliseconds since 1970. */
export interface ServerClock {
  now(): number;
  /** Milliseconds since any moment, on a clock that is never put forward or back: it measures periods. Default: `now`. */
  elapsed?(): number;
}

/** One line of the server's own log. */
export interface ServerLogLine {
  level: "info" | "error";
  message: string;
  /** The id that the caller was told. */
  id?: string;
  /** What was thrown, for an error that is masked from the caller. */
  error?: unknown;
}

/** What every resolver and loop works with. */
export interface ServerParts {
  readonly database: Database;
  readonly clock: ServerClock;
  readonly events: AgentEvents;
  readonly presence: Presence;
  /** Keys that were used a moment ago; who deletes a key takes it out of here. */
  readonly keys: KnownKeys;
  readonly parameters: ParameterChecks;
  /** Seals what nobody may read in the database's file. */
  readonly vault: Vault;
  readonly hooks: HookDeliveries;
  /** Tells agents, now or when it is due, what a committed transaction did. */
  readonly publish: (effects: readonly Effect[]) => void;
  /** Makes slots of concurrency limits follow a ledger's moves, before it commits. */
  readonly settleLimits: (ledger: Ledger) => Promise<void>;
  /** A Python process that was not heard of for so long is taken for dead, in milliseconds. */
  readonly silentAfterMs: number;
  readonly log: (line: ServerLogLine) => void;
  /** What has been done so far, for the metrics. */
  readonly counts: Counts;
}

/** Who asks. */
export interface Caller {
  readonly keyId: string;
  /** The tenant that the key was made in. */
  readonly keyTenantId: string;
  /** The tenant that the request is for: the key's, or another of the user's. */
  readonly tenantId: string;
  readonly userId: string;
  readonly scope: string;
  readonly name: string;
  /** When the key ends; null: never. */
  readonly expiresAt: string | null;
}

/** What a resolver knows of the request it answers. */
export interface RequestContext {
  readonly parts: ServerParts;
  readonly caller: Caller;
  /** The caller's; the read API looks for it here. */
  readonly tenantId: string;
  /** Whose tenants the root `tenant` lists; null: only the request's. */
  readonly userId: string | null;
  /** As they were sent, with their keys in the sender's order. */
  readonly variables: Readonly<Record<string, unknown>> | null;
  /** The header `X-PREFECT-AGENT-ID`. */
  readonly agentId: string | null;
  /** The header `X-PREFECT-CORE-VERSION`. */
  readonly coreVersion: string | null;
}

/** An instant as the database keeps it. */
export const toInstant = (ms: number): string => new Date(ms).toISOString();
