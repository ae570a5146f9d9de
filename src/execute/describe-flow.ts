import { pathToFileURL } from "node:url";
import type { SavedFlowOptions } from "../codec/saved-flow.js";
import { MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { type FlowSpec, hashFlowSpec, toFlowSpec } from "../core/flow-spec.js";
import type { DescribedFlow, DescribeRequest } from "../threads/messages.js";
import { importFlows, pickFlow } from "./import-flows.js";
import { loadSavedFlow } from "./load-saved-flow.js";

/** The flow as the Cloud registers it, and its hash. */
export function specOf(flow: FlowDefinition): { spec: FlowSpec; specHash: string } {
  const spec = toFlowSpec(flow);
  return { spec, specHash: hashFlowSpec(spec) };
}

/** What `workers/describe-flow` does: load what is asked for into this thread, and say what flows it builds. */
export async function describeFlows(request: DescribeRequest): Promise<DescribedFlow[]> {
  const flows = await loadForDescription(request);
  return flows.map((flow) => ({ spec: specOf(flow).spec, options: optionsOf(flow) }));
}

async function loadForDescription({
  savedFlowFile,
  savedFlowHash,
  bundleFile,
  flowName,
}: DescribeRequest): Promise<FlowDefinition[]> {
  if (savedFlowFile !== undefined) return [(await loadSavedFlow(savedFlowFile, savedFlowHash)).flow];
  if (bundleFile === undefined) throw new MillraceError("INTERNAL", "A description was asked for without a file.");
  const flows = await importFlows(pathToFileURL(bundleFile), flowName);
  return flowName === undefined ? [...flows.values()] : [pickFlow(flows, flowName, bundleFile)];
}

function optionsOf({ options }: FlowDefinition): SavedFlowOptions {
  return {
    external: [...(options.external ?? [])].sort(),
    freshThread: options.freshThread ?? false,
    maxHeapMb: options.maxHeapMb ?? null,
  };
}
