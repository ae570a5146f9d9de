import { mkdtemp, open, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { findLocalSecret } from "../client/secrets.js";
import type { LogLine } from "../core/context.js";
import { MillraceError } from "../core/errors.js";
import type { FlowDefinition } from "../core/flow-definition.js";
import { isRunning, isTerminal, type State } from "../core/state.js";
import { codeForThreads } from "../deploy/code-for-threads.js";
import { makeSavedFlows } from "../deploy/make-saved-flow.js";
import type { EngineOutcome } from "../engine/ports.js";
import { loadSavedFlow } from "../execute/load-saved-flow.js";
import { runLocally } from "../execute/run-locally.js";
import { type Context, type ExitCode, usage } from "./command.js";
import { isSuccessName, LiveRun, type RunChange } from "./live-run.js";
import { type LiveView, openLiveView } from "./live-view.js";
import { coloured, stateText } from "./print.js";
import { onStopSignals } from "./signals.js";
import { printable } from "./text.js";

export interface RunFileRequest {
  file: string;
  /** Needed when the file defines several flows. */
  flowName: string | undefined;
  runName: string | undefined;
  parameters: Record<string, unknown>;
}

/** Runs a flow of a module, or a saved flow, in this thread with no Cloud. The exit code follows the run's state. */
export async function runFile(context: Context, request: RunFileRequest): Promise<ExitCode> {
  const flow = await loadFlowOf(request);
  const stop = new AbortController();
  const stopListening = onStopSignals((times) => {
    if (times === 1) {
      context.note("The run is being cancelled. Ask again to end at once.");
      stop.abort(new MillraceError("RUN_CANCELLED", "The flow run was cancelled from the terminal."));
    } else process.kill(process.pid, "SIGKILL");
  });
  const terminal = context.json ? context.stderr : context.stdout;
  const stuck = noticeStuck(flow.name);
  const live = new LiveRun(
    `Flow "${printable(flow.name)}"`,
    flow.tasks.filter(({ kind }) => kind === "task").map(({ slug }) => slug),
  );
  const view = openLiveView(live, terminal);
  try {
    const outcome = await Promise.race([runHere(flow, request, stop.signal, view), stuck.noticed]);
    view.end();
    return report(context, flow, outcome);
  } catch (error) {
    view.end();
    throw error;
  } finally {
    stopListening();
    stuck.end();
  }
}

/** Rejects when the run is not over and nothing is left that could bring it on: Node would end without a word. */
function noticeStuck(flowName: string): { noticed: Promise<never>; end(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const notice = () => {
    const message = `The code of flow "${flowName}" waits for a promise that nothing can settle any more.`;
    const hint =
      "No timer, connection or file is open that could settle it: look for a promise that is never resolved.";
    reject(new MillraceError("WORKER_UNCAUGHT", message, { hint }));
  };
  process.once("beforeExit", notice);
  return { noticed: promise, end: () => process.off("beforeExit", notice) };
}

function runHere(
  flow: FlowDefinition,
  { runName: name, parameters }: RunFileRequest,
  signal: AbortSignal,
  view: LiveView,
): Promise<EngineOutcome> {
  const startedAt = new Map<string, string>();
  // The task run of a parameter or secret says nothing that people do not know.
  const unseen = new Set(flow.tasks.filter(({ kind }) => kind !== "task").map(({ slug }) => slug));
  return runLocally(flow, {
    name,
    parameters,
    signal,
    log: (line) => view.say(logText(line)),
    secrets: { read: async (secret) => findLocalSecret(secret) },
    onState: ({ taskSlug, mapIndex, state }) => {
      if (taskSlug === null || !unseen.has(taskSlug)) view.update(toChange(taskSlug, mapIndex, state, startedAt));
    },
    code: codeForThreads,
  });
}

/** A change as the live view takes it; when a task run began is known from its own Running. */
function toChange(taskSlug: string | null, mapIndex: number, state: State, startedAt: Map<string, string>): RunChange {
  const key = `${taskSlug}\n${mapIndex}`;
  if (isRunning(state) && !startedAt.has(key)) startedAt.set(key, state.at);
  return {
    taskSlug,
    mapIndex,
    state: state.type,
    message: state.message,
    at: state.at,
    startAt: startedAt.get(key) ?? null,
    endAt: isTerminal(state) ? state.at : null,
    runCount: state.runCount ?? null,
    mapCount: state.mapCount ?? null,
  };
}

function logText(line: LogLine): string {
  return `${line.at.slice(11, 23)}  ${line.level.padEnd(7)}  ${printable(line.name)}  ${line.message}`;
}

function report(context: Context, flow: FlowDefinition, { state, taskRuns, output }: EngineOutcome): ExitCode {
  const message = state.message === null ? "" : `: ${printable(state.message)}`;
  context.say(`Flow "${printable(flow.name)}" is ${stateText(state.type, context.stdout)}${message}`);
  const shown = jsonText(output);
  if (shown !== undefined) context.say(coloured("dim", `  output  ${shown}`, context.stdout));
  context.answer({
    flow: flow.name,
    state: state.type,
    message: state.message,
    output: shown === undefined ? null : (JSON.parse(shown) as unknown),
    error: state.context?.error ?? null,
    taskRuns: taskRuns.map((each) => ({
      taskSlug: each.taskSlug,
      mapIndex: each.mapIndex,
      state: each.state.type,
      message: each.state.message,
    })),
  });
  return isSuccessName(state.type) ? 0 : 1;
}

/** Undefined for what JSON has no words for. */
function jsonText(value: unknown): string | undefined {
  try {
    return JSON.stringify(value, (_key, item) => (typeof item === "bigint" ? String(item) : item));
  } catch {
    return undefined;
  }
}

/**
 * A module is saved and loaded as a deploy and an agent do it, so that TypeScript, packages and neighbours are found the
 * same way, and a flow that runs here also runs there.
 */
async function loadFlowOf({ file, flowName }: RunFileRequest): Promise<FlowDefinition> {
  const path = await realpath(resolve(file)).catch((cause: unknown) => {
    throw new MillraceError("FILE_NOT_FOUND", `There is no file "${file}".`, {
      hint: "Name the module that calls flow().",
      cause,
    });
  });
  if (await isSavedFlow(path)) return (await loadSavedFlow(path)).flow;
  const made = await makeSavedFlows(path, flowName, { env: wholeEnvironment() });
  if (made.length === 0) {
    throw new MillraceError("FLOW_NOT_IN_MODULE", `Loading "${file}" defines no flow.`, {
      hint: "Call flow() at the top level of the module.",
    });
  }
  if (made.length > 1) {
    const names = made.map(({ manifest }) => `"${manifest.spec.name}"`).join(", ");
    throw usage(`"${file}" defines several flows: ${names}.`, "Say which one with --name.");
  }
  const folder = await mkdtemp(join(tmpdir(), "millrace-run-"));
  try {
    const savedFlowFile = join(folder, "flow");
    await writeFile(savedFlowFile, made[0]!.bytes);
    return (await loadSavedFlow(savedFlowFile, made[0]!.hash)).flow;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** A run here may see all that the user's own script would. */
function wholeEnvironment(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).filter((entry): entry is [string, string] => entry[1] !== undefined),
  );
}

/** The first bytes of every saved flow. */
const MAGIC = Buffer.from([0x89, 0x4d, 0x52, 0x46]);

async function isSavedFlow(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAGIC.length), 0, MAGIC.length, 0);
    return bytesRead === MAGIC.length && buffer.equals(MAGIC);
  } finally {
    await file.close();
  }
}
