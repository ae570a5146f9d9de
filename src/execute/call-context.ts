import { type Crossing, isCrossing, packValue, unpackValue } from "../codec/crossing.js";
import { type FailureRecord, fromFailure, toFailure } from "../codec/failure.js";
import type { Logger, LogLevel, TaskContext } from "../core/context.js";
import { makeLogger } from "../engine/logger.js";
import { TaskSignal } from "../engine/task/task-signal.js";
import type { CallFacts, RunFacts } from "../threads/task-messages.js";

/** What of a context is no data, or crosses by a way of its own. */
type Apart = "logger" | "signal" | "parameters" | "secret";
type ContextData = Omit<TaskContext, Apart>;

/** Each field that crosses: with the first call on a thread, or with each. One that is missing here does not compile. */
const crosses: Record<Exclude<keyof ContextData, "loopResult" | "resumeInput">, "once" | "each"> = {
  flowName: "once",
  flowRunId: "once",
  flowRunName: "once",
  flowId: "once",
  projectName: "once",
  scheduledStartAt: "once",
  dates: "once",
  runningUnderCloud: "once",
  taskId: "each",
  taskRunId: "each",
  taskName: "each",
  taskFullName: "each",
  taskRunName: "each",
  taskSlug: "each",
  taskTags: "each",
  mapIndex: "each",
  runCount: "each",
  loopCount: "each",
  resumed: "each",
  resumedByTime: "each",
};
const namesOf = (when: "once" | "each") =>
  Object.entries(crosses).flatMap(([name, at]) => (at === when ? [name as keyof ContextData] : []));
const ofRun = namesOf("once");
const ofCall = namesOf("each");

/** What all calls of a run share, in the thread of the flow run. */
export function packRunFacts(context: TaskContext): RunFacts {
  return { fields: pick(context, ofRun), parameters: packParameters(context.parameters) };
}

/** @throws VALUE_NOT_SERIALIZABLE, for what a loop or a resumption handed on */
export function packCallFacts(context: TaskContext): CallFacts {
  return {
    fields: pick(context, ofCall),
    loopResult: packValue(context.loopResult, `The loop's value in task "${context.taskName}"`),
    resumeInput: packValue(context.resumeInput, `What task "${context.taskName}" was resumed with`),
  };
}

function pick(context: TaskContext, names: readonly (keyof ContextData)[]): Record<string, unknown> {
  const fields: Record<string, unknown> = {};
  for (const name of names) fields[name] = context[name];
  return fields;
}

function packParameters(parameters: TaskContext["parameters"]): Crossing | FailureRecord {
  try {
    return packValue(parameters, "The flow run's parameters");
  } catch (error) {
    // An error only for a task that asks for them.
    return toFailure(error);
  }
}

/** What all calls of a run share, in the thread of a task. */
export interface SharedContext {
  readonly fields: Readonly<Record<string, unknown>>;
  /** @throws VALUE_NOT_SERIALIZABLE when they could not cross */
  readonly parameters: () => Readonly<Record<string, unknown>>;
}

export function unpackRunFacts({ fields, parameters }: RunFacts): SharedContext {
  let read: Readonly<Record<string, unknown>> | undefined;
  return {
    fields,
    parameters() {
      if (!isCrossing(parameters)) throw fromFailure(parameters);
      read ??= Object.freeze(unpackValue(parameters) as Record<string, unknown>);
      return read;
    },
  };
}

/** What a call's context does in the flow run's thread. */
export interface ContextLinks {
  log(level: LogLevel, message: string): void;
  secret(name: string): Promise<unknown>;
}

/** A call's context again, in the thread of the task. */
export function callContext(
  shared: SharedContext,
  { fields: own, loopResult, resumeInput }: CallFacts,
  links: ContextLinks,
): { context: TaskContext; signal: TaskSignal } {
  const values = { loopResult: unpackValue(loopResult), resumeInput: unpackValue(resumeInput) };
  const fields = { ...shared.fields, ...own, ...values } as unknown as ContextData;
  const signal = new TaskSignal();
  let logger: Logger | undefined;
  const apart: Pick<TaskContext, Apart> = {
    get logger() {
      // The flow run's thread stamps the line and gives it the logger's name.
      const write = ({ level, message }: { level: LogLevel; message: string }) => links.log(level, message);
      logger ??= makeLogger(fields.taskName, fields.taskRunId, () => "", write);
      return logger;
    },
    get signal() {
      return signal.signal;
    },
    get parameters() {
      return shared.parameters();
    },
    secret: (name) => links.secret(name),
  };
  return { context: Object.defineProperties(apart, Object.getOwnPropertyDescriptors(fields)) as TaskContext, signal };
}
