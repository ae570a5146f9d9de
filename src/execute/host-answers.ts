import { fromFailure } from "../codec/failure.js";
import { fromWireState, type WireState } from "../codec/state-json.js";
import type { SubflowPort } from "../core/control/subflow.js";
import type { CacheIndex, SecretSource, SlotSource } from "../engine/ports.js";
import type { HostQuestion, RunHost } from "../threads/messages.js";

/** The engine's questions to the Cloud, by way of the run's host. */
export function hostCaches(host: RunHost): CacheIndex {
  return {
    async candidates({ taskSlug, cacheKey, sinceAt }) {
      const states = await ask(host, { about: "caches", taskSlug, cacheKey: cacheKey ?? null, sinceAt });
      return (states as unknown[]).map((each) => fromWireState(each, sinceAt));
    },
    // The Cloud learns of it from the report.
    add: () => {},
  };
}

export function hostSecrets(host: RunHost): SecretSource {
  return { read: (name) => ask(host, { about: "secret", name }) };
}

/** Who of the run's Queued task runs may go on. */
export function hostSlots(host: RunHost): SlotSource {
  return {
    async granted() {
      return (await ask(host, { about: "slots" })) as string[];
    },
  };
}

/** The flow runs that a run's tasks make: the agent asks the Cloud on their behalf. */
export function hostSubflows(host: RunHost): SubflowPort {
  return {
    async create({ definition: _, parameters, labels, ...call }) {
      const plain = { parameters: { ...parameters }, labels: labels === null ? null : [...labels] };
      return String(await ask(host, { about: "create flow run", ...call, ...plain }));
    },
    async end(flowRunId, waitMs) {
      const end = (await ask(host, { about: "flow run's end", flowRunId, waitMs })) as { state: WireState } | null;
      return end && fromWireState(end.state, new Date().toISOString());
    },
    async cancel(flowRunId) {
      await ask(host, { about: "cancel flow run", flowRunId });
    },
  };
}

/** @throws why there is no answer */
export async function ask(host: RunHost, question: HostQuestion): Promise<unknown> {
  const answered = await host.ask(question);
  if ("failure" in answered) throw fromFailure(answered.failure);
  return answered.answer;
}
