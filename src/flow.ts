import { buildFlow } from "./core/building.js";
import { callerFile } from "./core/caller-file.js";
import { heldBack, noteDefinition } from "./core/definitions.js";
import { MillraceError } from "./core/errors.js";
import type { BuildFlow } from "./core/flow-builder.js";
import type { FlowDefinition, FlowOptions } from "./core/flow-definition.js";
import type { Filled } from "./core/reference.js";
import type { SavedFlowFile } from "./deploy/save.js";
import type { Deployment, DeployOptions } from "./deploy-flow.js";
import type { RunAgentOptions } from "./run-agent.js";
import type { FlowRun, RunOptions } from "./run-flow.js";
import type { ServeOptions } from "./serve-flow.js";

/** A flow, as its author holds it. */
export interface Flow<Output = unknown> {
  readonly name: string;
  /** The tasks and edges that the build function made. */
  readonly definition: FlowDefinition;

  /**
   * Runs the flow here and now, in this thread, with no Cloud. It does not throw: a failed task, or parameters that the
   * flow cannot use, make the run's state Failed, with the error in `state.context.error`.
   * @param parameters A value for each parameter without a default. Default `{}`.
   * @example
   * const run = await greet.run({ name: "Ada" });
   * run.state.type; // "Success"
   */
  run(parameters?: Record<string, unknown>, options?: RunOptions): Promise<FlowRun<Output>>;

  /**
   * Runs the flow on its schedule in this process, one run at a time and with no Cloud, until SIGINT, SIGTERM,
   * `options.signal` or the schedule's end. A failed run does not end it. Times that pass while a run is under way are
   * skipped, with one log line for them all.
   * @throws SCHEDULE_INVALID for a flow without a schedule, or one that cannot be used
   * @example
   * await report.serve({ parameters: { region: "EU" } });
   */
  serve(options?: ServeOptions<Output>): Promise<void>;

  /**
   * Saves the flow with its code and npm packages in one file.
   * @param path Where to; default `~/.millrace/flows/<flow>/<time>-<hash>`.
   * @throws FLOW_SOURCE_UNKNOWN, BUNDLE_FAILED, FLOW_LOAD_FAILED, TASK_IDS_CHANGED, SAVED_FLOW_TOO_LARGE, STORAGE_FAILED
   * @example
   * const { path, hash } = await orders.save("orders.millrace");
   */
  save(path?: string): Promise<SavedFlowFile>;

  /**
   * Saves the flow, loads what was saved in a clean worker thread, and registers it with the Cloud. An unchanged flow
   * keeps its version. Prints id, version, labels and address unless `quiet`.
   * @throws what {@link Flow.save} throws, PROJECT_NOT_FOUND, NOT_LOGGED_IN, UNAUTHENTICATED, CLOUD_UNREACHABLE
   * @example
   * await orders.deploy("Sales");
   */
  deploy(project: string, options?: DeployOptions): Promise<Deployment>;

  /**
   * Runs an agent in this process that takes the runs of this flow, and of no other, until it is stopped by SIGINT,
   * SIGTERM or `options.signal`. Its labels are the hostname and the flow's name.
   * @throws FLOW_NOT_DEPLOYED, TASK_IDS_CHANGED when this code is not what was deployed, NOT_LOGGED_IN, CLOUD_UNREACHABLE
   * @example
   * await orders.runAgent();
   */
  runAgent(options?: RunAgentOptions): Promise<void>;
}

/**
 * Makes a flow. The build function runs now, once, and must do the same every time: calling a task in it does not run the
 * task but gives it a place in the flow.
 * @throws FLOW_INVALID_NAME, FLOW_EMPTY, FLOW_CYCLE, PARAMETER_DUPLICATE, REFERENCE_FOREIGN, TASK_ARGUMENT_INVALID
 * @example
 * const sum = flow("sum", () => {
 *   const a = parameter<number>("a", { default: 1 });
 *   return add(a, double(a));
 * });
 */
export function flow<Output>(name: string, build: BuildFlow<Output>): Flow<Filled<Output>>;
export function flow<Output>(name: string, options: FlowOptions, build: BuildFlow<Output>): Flow<Filled<Output>>;
export function flow(name: string, ...rest: [BuildFlow<unknown>] | [FlowOptions, BuildFlow<unknown>]): Flow {
  const [options, build] = rest.length === 2 ? rest : [{}, rest[0]];
  if (typeof name !== "string" || name.trim() === "") {
    throw new MillraceError(
      "FLOW_INVALID_NAME",
      `flow() takes a name that is not empty, and was given ${JSON.stringify(name)}.`,
    );
  }
  if (typeof build !== "function") {
    throw new MillraceError("FLOW_BUILD_FAILED", `Flow "${name}" has no build function.`, {
      hint: 'Write flow("name", () => { … }) or flow("name", options, () => { … }).',
    });
  }
  const definition = buildFlow(name, Object.freeze({ ...options }), build, callerFile());
  noteDefinition(definition);
  return toAuthorFlow(definition);
}

/** The parts behind the methods are imported when they are first used: a worker thread that loads a flow needs none of them. */
export function toAuthorFlow(definition: FlowDefinition): Flow {
  return Object.freeze({
    name: definition.name,
    definition,
    async run(parameters?: Record<string, unknown>, options?: RunOptions) {
      const held = heldBack<FlowRun<unknown>>(definition, undefined);
      if (held) return held;
      const { runFlowHere } = await import("./run-flow.js");
      return runFlowHere(definition, parameters ?? {}, options ?? {});
    },
    async serve(options?: ServeOptions) {
      const held = heldBack<void>(definition, undefined);
      if (held) return held;
      const { serveFlowHere } = await import("./serve-flow.js");
      return serveFlowHere(definition, options ?? {});
    },
    async save(path?: string) {
      const held = heldBack<SavedFlowFile>(definition, { path: path ?? "", hash: "", sizeBytes: 0 });
      if (held) return held;
      const { saveFlow } = await import("./deploy/save.js");
      return saveFlow(definition, path === undefined ? {} : { path });
    },
    async deploy(project: string, options?: DeployOptions) {
      const held = heldBack<Deployment>(definition, notDeployed(definition.name));
      if (held) return held;
      const { deployHere } = await import("./deploy-flow.js");
      return deployHere(definition, project, options ?? {});
    },
    async runAgent(options?: RunAgentOptions) {
      const held = heldBack<void>(definition, undefined);
      if (held) return held;
      const { runAgentHere } = await import("./run-agent.js");
      return runAgentHere(definition, options ?? {});
    },
  });
}

/** What `deploy()` answers in a module that is only being loaded for a flow defined further down. */
function notDeployed(flowName: string): Deployment {
  return {
    flowId: "",
    flowGroupId: "",
    flowName,
    project: "",
    version: 0,
    created: false,
    labels: [],
    url: "",
    hash: "",
  };
}
