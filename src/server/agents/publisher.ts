import { type Database, MAX_MESSAGE_BYTES } from "../../db/database.js";
import type { ServerClock, ServerLogLine } from "../parts.js";
import type { DueTimer } from "../services/due-timer.js";
import type { AgentEvents, Effect } from "./agent-events.js";

/** What servers of one database tell each other: what a transaction did, or that a run is due when its labels are too many to be told. */
type Told = Effect | { kind: "look"; dueAt: string };

interface PublisherParts {
  readonly database: Database;
  readonly clock: ServerClock;
  readonly events: AgentEvents;
  readonly dueTimer: DueTimer;
  readonly log: (line: ServerLogLine) => void;
}

/**
 * Tells the agents that are connected here what a committed transaction did, and the other servers of the database, so that
 * they tell theirs. A message that is lost costs time only: agents ask, too.
 */
export function makePublisher(parts: PublisherParts): (effects: readonly Effect[]) => void {
  const { database, log } = parts;
  database.onTold((message) => {
    try {
      for (const told of JSON.parse(message) as Told[]) act(told, parts);
    } catch (error) {
      log({ level: "error", message: "What another server told could not be passed on.", error });
    }
  });
  return (effects) => {
    for (const effect of effects) act(effect, parts);
    if (database.kind === "sqlite") return;
    for (const message of toMessages(effects)) database.tell(message);
  };
}

function act(told: Told, { clock, events, dueTimer }: PublisherParts): void {
  if (told.kind === "stop") events.stop(told.agentId, told.flowRunId);
  else if (told.kind === "slot") events.grant(told.agentId, told.taskRunId);
  else if (told.kind === "look" || Date.parse(told.dueAt) > clock.now()) dueTimer.note(told.dueAt);
  else events.wakeFor(told);
}

/** The effects as lists in JSON, each as long as a message may be. */
export function toMessages(effects: readonly Effect[]): string[] {
  const messages: string[] = [];
  let parts: string[] = [];
  let bytes = 2;
  const end = () => {
    if (parts.length > 0) messages.push(`[${parts.join(",")}]`);
    parts = [];
    bytes = 2;
  };
  for (const effect of effects) {
    let text = JSON.stringify(effect);
    if (Buffer.byteLength(text) + 2 > MAX_MESSAGE_BYTES) {
      if (effect.kind !== "due") continue;
      text = JSON.stringify({ kind: "look", dueAt: effect.dueAt });
    }
    if (bytes + Buffer.byteLength(text) + 1 > MAX_MESSAGE_BYTES) end();
    parts.push(text);
    bytes += Buffer.byteLength(text) + 1;
  }
  end();
  return messages;
}
