import type { Cloud, RegisteredFlow } from "../client/cloud.js";
import { checkSignature, type TrustedKeys } from "../codec/signature.js";
import { MillraceError } from "../core/errors.js";
import { fetchSavedFlow } from "../storage/open.js";

/** Versions of flows that the agent remembers; one is some 10 KB of task specs. A version never changes once registered. */
const MAX_CACHED_FLOWS = 200;

/** A registered version of a flow, with its saved flow on this machine's disk. */
export interface FlowAtHand {
  registered: RegisteredFlow;
  savedFlowFile: string;
}

/** The flows that the agent has run lately, least lately first. */
export class FlowCache {
  readonly #cloud: Pick<Cloud, "flow" | "url">;
  readonly #trusted: TrustedKeys | undefined;
  readonly #flows = new Map<string, Promise<FlowAtHand>>();

  /** @param trusted Take flows that are signed by one of these keys, and no other. Absent: any flow. */
  constructor(cloud: Pick<Cloud, "flow" | "url">, trusted?: TrustedKeys) {
    this.#cloud = cloud;
    this.#trusted = trusted;
  }

  /** @throws FLOW_NOT_FOUND, FLOW_NOT_SIGNED, FLOW_SIGNATURE_INVALID, SAVED_FLOW_NOT_FOUND, STORAGE_FAILED and what the Cloud throws; a failure is not kept */
  get(flowId: string): Promise<FlowAtHand> {
    const known = this.#flows.get(flowId);
    const found = known ?? this.#fetch(flowId);
    this.#flows.delete(flowId);
    this.#flows.set(flowId, found);
    if (this.#flows.size > MAX_CACHED_FLOWS) this.#flows.delete(this.#flows.keys().next().value!);
    return known ? known.then(stillOnDisk) : found;
  }

  #fetch(flowId: string): Promise<FlowAtHand> {
    const fetching = this.#load(flowId);
    fetching.catch(() => {
      if (this.#flows.get(flowId) === fetching) this.#flows.delete(flowId);
    });
    return fetching;
  }

  async #load(flowId: string): Promise<FlowAtHand> {
    const registered = await this.#cloud.flow(flowId);
    if (!registered) {
      throw new MillraceError(
        "FLOW_NOT_FOUND",
        `The Cloud at ${this.#cloud.url} gave out a run of flow ${flowId}, which it does not know.`,
        {
          hint: "Deploy the flow again.",
        },
      );
    }
    // Before a byte of it is fetched. That the bytes have the hash is seen at each load.
    const { name, signature, storage } = registered;
    if (this.#trusted) checkSignature({ name, hash: storage.hash, signature }, this.#trusted);
    return { registered, savedFlowFile: await fetchSavedFlow(registered.storage) };
  }
}

/** A flow that was fetched lies in a folder of limited size, from which it may have gone meanwhile. A Local one is where it was deployed. */
async function stillOnDisk(flow: FlowAtHand): Promise<FlowAtHand> {
  const { storage } = flow.registered;
  if (storage.type === "Local") return flow;
  return { ...flow, savedFlowFile: await fetchSavedFlow(storage) };
}
