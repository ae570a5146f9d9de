import { readFile } from "node:fs/promises";
import type { Cloud, RegisteredFlow } from "../client/cloud.js";
import { verifySavedFlow } from "../codec/saved-flow.js";
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
  readonly #given: string | undefined;
  readonly #flows = new Map<string, Promise<FlowAtHand>>();

  /**
   * @param trusted Take flows that are signed by one of these keys, and no other. Absent: any flow.
   * @param given The file of the one saved flow there is. Absent: they are fetched from their storage.
   */
  constructor(cloud: Pick<Cloud, "flow" | "url">, trusted?: TrustedKeys, given?: string) {
    this.#cloud = cloud;
    this.#trusted = trusted;
    this.#given = given;
  }

  /** @throws FLOW_NOT_FOUND, FLOW_NOT_SIGNED, FLOW_SIGNATURE_INVALID, SAVED_FLOW_NOT_FOUND, STORAGE_FAILED and what the Cloud throws; a failure is not kept */
  get(flowId: string): Promise<FlowAtHand> {
    const known = this.#flows.get(flowId);
    const found = known ?? this.#fetch(flowId);
    this.#flows.delete(flowId);
    this.#flows.set(flowId, found);
    if (this.#flows.size > MAX_CACHED_FLOWS) this.#flows.delete(this.#flows.keys().next().value!);
    return known && this.#given === undefined ? known.then(stillOnDisk) : found;
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
    const savedFlowFile = this.#given ?? (await fetchSavedFlow(registered.storage));
    if (this.#given !== undefined) await checkGiven(this.#given, registered);
    return { registered, savedFlowFile };
  }
}

/** A file that somebody named is the flow that was registered, or it is not run. */
async function checkGiven(file: string, { name, version, storage }: RegisteredFlow): Promise<void> {
  const bytes = await readFile(file).catch((cause: Error) => {
    throw new MillraceError("SAVED_FLOW_NOT_FOUND", `There is no saved flow at "${file}": ${cause.message}`, {
      hint: "Name the file that `flow.save()` wrote, or leave it out: it is fetched from its storage then.",
      cause,
    });
  });
  const { hash } = verifySavedFlow(bytes);
  if (hash === storage.hash) return;
  throw new MillraceError(
    "SAVED_FLOW_MISMATCH",
    `The saved flow "${file}" has the hash ${hash.slice(0, 10)}, and version ${version} of flow "${name}", which is to be run, has ${storage.hash.slice(0, 10)}.`,
    { hint: "Bring the file that was deployed, deploy this one, or leave the file out." },
  );
}

/** A flow that was fetched lies in a folder of limited size, from which it may have gone meanwhile. A Local one is where it was deployed. */
async function stillOnDisk(flow: FlowAtHand): Promise<FlowAtHand> {
  const { storage } = flow.registered;
  if (storage.type === "Local") return flow;
  return { ...flow, savedFlowFile: await fetchSavedFlow(storage) };
}
