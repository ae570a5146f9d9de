import type { Logger, TaskContext } from "../core/context.js";
import { makeLogger } from "./logger.js";
import type { TaskRun } from "./task-run.js";
import type { Surroundings } from "./task-runner.js";
import type { TaskSignal } from "./task-signal.js";

/** What `taskContext()` gives. Logger and signal are made when they are asked for. */
export class RunningTaskContext implements TaskContext {
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
  readonly #signal: TaskSignal;
  readonly #around: Surroundings;
  #logger: Logger | undefined;

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

  get signal(): AbortSignal {
    return this.#signal.signal;
  }
}
