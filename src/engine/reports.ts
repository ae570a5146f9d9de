import { MillraceError } from "../core/errors.js";
import type { State } from "../core/state.js";
import { refuseTaskRunMove } from "../core/transitions.js";
import type { Reporter } from "./ports.js";
import type { TaskRun } from "./task/task-run.js";

/** What became of a report; "queued" only of a Running, see `Reporter`. */
export type ReportEnd = "accepted" | "queued" | "refused";

const ACCEPTED = Promise.resolve<ReportEnd>("accepted");

/** Sends states through the reporter, counts versions, and knows which states are not accepted yet. */
export class Reports {
  readonly #reporter: Reporter;
  readonly #onRefused: (error: unknown) => void;
  #outstanding = 0;
  #onAccepted: (() => void) | undefined;

  /** @param onRefused Told of every report that was refused. */
  constructor(reporter: Reporter, onRefused: (error: unknown) => void) {
    this.#reporter = reporter;
    this.#onRefused = onRefused;
  }

  /** The state is the task run's from now on. The promise may be left alone: a refusal also goes to `onRefused`. */
  taskRun(run: TaskRun, state: State): Promise<ReportEnd> {
    const refusal = refuseTaskRunMove(run.state?.type ?? null, state.type);
    const { taskRunId, mapIndex, version, plan, givenName } = run;
    run.state = state;
    if (run.unreported) return ACCEPTED;
    run.version = version + 1;
    return this.#send(() => {
      if (refusal !== null)
        throw new MillraceError("STATE_REFUSED", `Task run "${run.name}" (${taskRunId}): ${refusal}.`);
      const change = { taskRunId, taskSlug: plan.task.slug, mapIndex, version, state };
      return this.#reporter.taskRun(givenName === undefined ? change : { ...change, name: givenName });
    });
  }

  flowRun(state: State): Promise<ReportEnd> {
    return this.#send(() => this.#reporter.flowRun({ state }));
  }

  /** Calls `then` when nothing is outstanding; never if a report was refused. */
  whenAllAccepted(then: () => void): void {
    if (this.#outstanding === 0) then();
    else this.#onAccepted = then;
  }

  /** Never rejects. */
  // biome-ignore lint/suspicious/noConfusingVoidType: as in `Reporter`.
  async #send(report: () => Promise<void | "queued">): Promise<ReportEnd> {
    this.#outstanding += 1;
    let answer: ReportEnd;
    try {
      answer = (await report()) ?? "accepted";
    } catch (error) {
      this.#onRefused(error);
      return "refused";
    }
    this.#outstanding -= 1;
    if (this.#outstanding === 0) this.#onAccepted?.();
    return answer;
  }
}
