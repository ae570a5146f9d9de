import type { AgentEvent } from "../../client/wire.js";
import { agentTakes } from "../../core/labels.js";

/** What a transaction did that agents want to know at once; published when it has committed. */
export type Effect =
  | { kind: "due"; tenantId: string; labels: readonly string[]; flowGroupId: string; dueAt: string }
  | { kind: "stop"; agentId: string; flowRunId: string }
  /** A task run that waited for slots owns them now: it may ask for Running again. */
  | { kind: "slot"; agentId: string; flowRunId: string; taskRunId: string };

/** Whose events are asked for. */
export interface Listener {
  agentId: string;
  tenantId: string;
  /** The key with which it was asked for; without it the subscription ends. */
  keyId: string;
  labels: readonly string[];
  /** Only runs of this flow group are of interest; null: of any. */
  flowGroupId: string | null;
}

/**
 * Tells listening agents what happened, within this process. Nothing is queued up: what a slow listener has not read yet
 * is merged into one event, so a dead connection costs no memory. Agents poll as well; a lost event costs time only.
 */
export class AgentEvents {
  readonly #channels = new Set<Channel>();
  #closed = false;

  get listeners(): number {
    return this.#channels.size;
  }

  wakeFor(run: { tenantId: string; labels: readonly string[]; flowGroupId: string }): void {
    for (const channel of this.#channels) {
      const { tenantId, labels, flowGroupId } = channel.listener;
      if (tenantId !== run.tenantId || (flowGroupId !== null && flowGroupId !== run.flowGroupId)) continue;
      if (agentTakes(run.labels, labels)) channel.push({ runDue: true });
    }
  }

  stop(agentId: string, flowRunId: string): void {
    for (const channel of this.#channels) if (channel.listener.agentId === agentId) channel.push({ stop: flowRunId });
  }

  /** A task run of this agent's has the slots that it waited for. */
  grant(agentId: string, taskRunId: string): void {
    for (const channel of this.#channels)
      if (channel.listener.agentId === agentId) channel.push({ granted: taskRunId });
  }

  /** The only flow group whose runs an agent asks for, as far as it listens here; null: any. */
  flowGroupOf(agentId: string): string | null {
    for (const { listener } of this.#channels) if (listener.agentId === agentId) return listener.flowGroupId;
    return null;
  }

  listen(listener: Listener): AsyncGenerator<AgentEvent, void, void> {
    const channel = new Channel(listener, () => this.#channels.delete(channel));
    if (this.#closed) channel.end();
    else this.#channels.add(channel);
    return channel.iterate();
  }

  /** Is the server stopping? */
  get closed(): boolean {
    return this.#closed;
  }

  /** The keys with which events are listened to. */
  get keyIds(): string[] {
    return [...new Set([...this.#channels].map((channel) => channel.listener.keyId))];
  }

  /** Ends the subscriptions of a key that is no longer good. */
  endKey(keyId: string): void {
    for (const channel of [...this.#channels]) if (channel.listener.keyId === keyId) channel.end();
  }

  /** Ends every subscription. */
  close(): void {
    this.#closed = true;
    for (const channel of [...this.#channels]) channel.end();
  }
}

class Channel {
  readonly listener: Listener;
  readonly #onEnd: () => void;
  #runDue = false;
  #cancelling = new Set<string>();
  #granted = new Set<string>();
  #ended = false;
  #wake: () => void = () => {};

  constructor(listener: Listener, onEnd: () => void) {
    this.listener = listener;
    this.#onEnd = onEnd;
  }

  push({ runDue = false, stop, granted }: { runDue?: boolean; stop?: string; granted?: string }): void {
    this.#runDue ||= runDue;
    if (stop !== undefined) this.#cancelling.add(stop);
    if (granted !== undefined) this.#granted.add(granted);
    this.#wake();
  }

  get #isEmpty(): boolean {
    return !this.#runDue && this.#cancelling.size === 0 && this.#granted.size === 0;
  }

  end(): void {
    this.#ended = true;
    this.#onEnd();
    this.#wake();
  }

  /** Not an async generator function: its `return()` would wait for the event that is awaited. */
  iterate(): AsyncGenerator<AgentEvent, void, void> {
    const next = async (): Promise<IteratorResult<AgentEvent, void>> => {
      while (!this.#ended && this.#isEmpty) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
      if (this.#ended) return { done: true, value: undefined };
      const value = { run_due: this.#runDue, cancelling: [...this.#cancelling], granted: [...this.#granted] };
      this.#runDue = false;
      this.#cancelling = new Set();
      this.#granted = new Set();
      return { done: false, value };
    };
    const end = async (): Promise<IteratorResult<AgentEvent, void>> => {
      this.end();
      return { done: true, value: undefined };
    };
    const iterator: AsyncGenerator<AgentEvent, void, void> = {
      next,
      return: end,
      throw: async (error) => {
        this.end();
        throw error;
      },
      [Symbol.asyncIterator]: () => iterator,
      [Symbol.asyncDispose]: async () => this.end(),
    };
    return iterator;
  }
}
