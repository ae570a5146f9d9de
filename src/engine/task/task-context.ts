import type { Logger, TaskContext } from "../../core/context.js";
import { type HoldsSubflowPort, type SubflowPort, subflowPort } from "../../core/control/subflow.js";
import { type TaskDates, taskDates } from "../../core/task-dates.js";
import { makeLogger } from "../logger.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";
import type { TaskSignal } from "./task-signal.js";

const NO_TAGS: readonly string[] = Object.freeze([]);

/**
 * What `taskContext()` gives. What changes from try to try is taken down when the try begins; all else is looked up, or
 * made, when it is asked for.
 */
export class RunningTaskContext implements TaskContext, HoldsSubflowPort {
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly flowName: string;
  readonly flowRunId: string;
  readonly flowRunName: string;
  readonly flowId: string | null;
  readonly taskId: string;
  readonly taskRunId: string;
  readonly taskName: string;
  readonly taskSlug: string;
  readonly mapIndex: number;
  readonly runCount: number;
  readonly scheduledStartAt: string;
  readonly loopCount: number;
  readonly loopResult: unknown;
  readonly resumed: boolean;
  readonly resumedByTime: boolean;
  readonly resumeInput: unknown;
  readonly #run: TaskRun;
  readonly #signal: TaskSignal;
  readonly #around: Surroundings;
  #logger: Logger | undefined;
  #dates: TaskDates | undefined;

  constructor(run: TaskRun, signal: TaskSignal, around: Surroundings) {
    const { task } = run.plan;
    this.parameters = around.parameters;
    this.flowName = around.flow.name;
    this.flowRunId = around.run.flowRunId;
    this.flowRunName = around.run.flowRunName;
    this.flowId = around.run.flowId;
    this.taskId = task.id;
    this.taskRunId = run.taskRunId;
    this.taskName = task.name;
    this.taskSlug = task.slug;
    this.mapIndex = run.mapIndex;
    this.runCount = run.runCount;
    this.scheduledStartAt = around.run.scheduledStartAt;
    const { loop, resumption } = run;
    this.loopCount = loop?.count ?? 1;
    this.loopResult = loop?.value;
    this.resumed = resumption !== undefined && !resumption.hidden;
    this.resumedByTime = this.resumed && resumption?.byTime === true;
    this.resumeInput = resumption?.hidden ? undefined : resumption?.input;
    this.#run = run;
    this.#signal = signal;
    this.#around = around;
  }

  get logger(): Logger {
    const { ports, timestamps } = this.#around;
    this.#logger ??= makeLogger(
      this.taskName,
      this.taskRunId,
      () => timestamps.now(),
      (line) => ports.reporter.log(line),
    );
    return this.#logger;
  }

  get projectName(): string | null {
    return this.#around.run.projectName ?? null;
  }

  get runningUnderCloud(): boolean {
    return this.flowId !== null;
  }

  get taskFullName(): string {
    const { plan, mapIndex } = this.#run;
    return mapIndex < 0 ? plan.task.name : `${plan.task.name}[${mapIndex}]`;
  }

  get taskTags(): readonly string[] {
    return this.#run.plan.task.options.tags ?? NO_TAGS;
  }

  get taskRunName(): string {
    return this.#run.name;
  }

  get dates(): TaskDates {
    this.#dates ??= taskDates(this.#around.run.date ?? this.scheduledStartAt);
    return this.#dates;
  }

  secret(name: string): Promise<unknown> {
    return this.#around.ports.secrets.read(name);
  }

  get [subflowPort](): SubflowPort {
    return this.#around.ports.subflows;
  }

  get signal(): AbortSignal {
    return this.#signal.signal;
  }
}
