import { fromFailure } from "../codec/failure.js";
import { fromWireState } from "../codec/state-json.js";
import type { CacheIndex, SecretSource } from "../engine/ports.js";
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

/** @throws why there is no answer */
export async function ask(host: RunHost, question: HostQuestion): Promise<unknown> {
  const answered = await host.ask(question);
  if ("failure" in answered) throw fromFailure(answered.failure);
  return answered.answer;
}
