import { pathToFileURL } from "node:url";
import type { SavedFlowOptions } from "../codec/saved-flow.js";
import { definedSoFar } from "../core/definitions.js";
import { MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { toFlowSpec } from "../core/flow-spec.js";
import type { DescribedFlow, DescribeRequest } from "../threads/messages.js";
import { importFlows, pickFlow } from "./import-flows.js";
import { loadConverters, withJsonSchemas } from "./json-schemas.js";
import { loadSavedFlow } from "./load-saved-flow.js";

/** What `workers/describe-flow` does: load what is asked for into this thread, and say what flows it builds. */
export async function describeFlows(request: DescribeRequest): Promise<DescribedFlow[]> {
  await loadConverters();
  return (await loadForDescription(request)).map(describe);
}

/**
 * The flows that a module has defined when it ends the thread by process.exit(0), as one does that only deploys: its
 * calls have answered at once, and there is no more of it. Empty when no load for all flows is under way.
 */
export function describeAtExit({ flowName, savedFlowFile }: DescribeRequest): DescribedFlow[] {
  return flowName === undefined && savedFlowFile === undefined ? definedSoFar().map(describe) : [];
}

function describe(flow: FlowDefinition): DescribedFlow {
  const { storage, runConfig } = flow.options;
  return {
    spec: withJsonSchemas(toFlowSpec(flow), flow),
    options: optionsOf(flow),
    storage: storage ? { type: storage.type, place: { ...storage.place } } : null,
    runConfig: runConfig ?? null,
  };
}

async function loadForDescription({
  savedFlowFile,
  savedFlowHash,
  bundleFile,
  sourceFile,
  flowName,
}: DescribeRequest): Promise<FlowDefinition[]> {
  if (savedFlowFile !== undefined) return [(await loadSavedFlow(savedFlowFile, savedFlowHash)).flow];
  if (bundleFile === undefined) throw new MillraceError("INTERNAL", "A description was asked for without a file.");
  const flows = await importFlows(pathToFileURL(bundleFile), flowName);
  return flowName === undefined ? [...flows.values()] : [pickFlow(flows, flowName, sourceFile ?? bundleFile)];
}

function optionsOf({ options }: FlowDefinition): SavedFlowOptions {
  return {
    external: [...(options.external ?? [])].sort(),
    freshThread: options.freshThread ?? false,
    maxHeapMb: options.maxHeapMb ?? null,
  };
}
