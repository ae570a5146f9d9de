import { collectDefinitions } from "../core/definitions.js";
import { isMillraceError, MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";

/**
 * Imports a module into this thread for the flows it defines. Its calls that would act (`deploy`, `run`, `runAgent`) do
 * not. Source maps are on from then on, so that stacks name the author's lines.
 * @param wanted The one flow that is needed; all of them when absent.
 * @throws FLOW_LOAD_FAILED when the module throws; an error of Millrace's own is thrown as it is
 */
export async function importFlows(module: URL, wanted?: string): Promise<ReadonlyMap<string, FlowDefinition>> {
  process.setSourceMapsEnabled(true);
  try {
    return await collectDefinitions(() => import(module.href), wanted);
  } catch (cause) {
    if (isMillraceError(cause)) throw cause;
    const flow = wanted === undefined ? "The module" : `The code of flow "${wanted}"`;
    throw new MillraceError(
      "FLOW_LOAD_FAILED",
      `${flow} threw while it was loaded: ${cause instanceof Error ? `${cause.name}: ${cause.message}` : String(cause)}`,
      {
        hint: "Loading runs the module's top level, in a thread with few environment variables and possibly on another machine: read the environment and open connections inside tasks.",
        cause,
      },
    );
  }
}

/** @throws FLOW_NOT_IN_MODULE, naming the flows that the module does define */
export function pickFlow(flows: ReadonlyMap<string, FlowDefinition>, name: string, module: string): FlowDefinition {
  const flow = flows.get(name);
  if (flow) return flow;
  const found = flows.size === 0 ? "no flow" : [...flows.keys()].map((each) => `"${each}"`).join(", ");
  throw new MillraceError(
    "FLOW_NOT_IN_MODULE",
    `Loading "${module}" does not define flow "${name}"; it defines ${found}.`,
    {
      hint: "Call flow() at the top level of the module, or in a function that the module calls whenever it is loaded.",
      details: { defined: [...flows.keys()] },
    },
  );
}
