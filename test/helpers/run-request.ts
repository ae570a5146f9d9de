import { type FailureRecord, toFailure } from "../../src/codec/failure.js";
import { MillraceError } from "../../src/core/errors.js";
import { type StoredFlow, saveModule } from "../../src/deploy/save.js";
import type { HostAnswer, HostQuestion, RunHost, RunReport, RunRequest } from "../../src/threads/messages.js";

const saved = new Map<string, Promise<StoredFlow[]>>();

/** Saves the flow of `fixtures/<name>.ts` in the Millrace home, once a process. */
export async function savedFixture(name: string): Promise<StoredFlow> {
  const file = new URL(`../../../fixtures/${name}.ts`, import.meta.url).pathname;
  if (!saved.has(name)) saved.set(name, saveModule(file));
  const [flow] = await saved.get(name)!;
  return flow!;
}

/** A run of that flow as an agent hands it to a thread. */
export async function requestFor(name: string, parameters: Record<string, unknown> = {}): Promise<RunRequest> {
  const { manifest, location, hash } = await savedFixture(name);
  return {
    flowRunId: "11111111-1111-7111-8111-111111111111",
    flowRunName: "a run",
    flowId: "22222222-2222-7222-8222-222222222222",
    flowName: manifest.spec.name,
    savedFlowFile: location.location,
    savedFlowHash: hash,
    specHash: manifest.specHash,
    projectName: "Sales",
    parameters,
    scheduledStartAt: new Date().toISOString(),
    date: null,
    taskRuns: manifest.spec.tasks.map(({ slug }, at) => ({
      taskRunId: `33333333-3333-7333-8333-${String(at).padStart(12, "0")}`,
      taskSlug: slug,
      mapIndex: -1,
      version: 0,
      state: null,
    })),
  };
}

/** A host that accepts everything and remembers it. */
export class RecordingHost implements RunHost {
  readonly reports: RunReport[] = [];
  readonly #stop = Promise.withResolvers<FailureRecord>();

  async report(report: RunReport): Promise<FailureRecord | null> {
    this.reports.push(report);
    return null;
  }

  /** Answers nothing: a test that asks serves its own. */
  async ask(question: HostQuestion): Promise<HostAnswer> {
    const message = `There is no answer about ${question.about}.`;
    return { failure: toFailure(new MillraceError("CLOUD_REFUSED", message)) };
  }

  stopped(): Promise<FailureRecord> {
    return this.#stop.promise;
  }

  stop(failure: FailureRecord): void {
    this.#stop.resolve(failure);
  }

  /** For instance `greet-1:Running`; the flow run's own states have no slug. */
  get states(): string[] {
    const entries = this.reports.flatMap(({ states }) => states);
    return entries.map(({ taskRun, state }) => (taskRun ? `${taskRun.taskSlug}:${state.type}` : state.type));
  }

  get logs(): string[] {
    return this.reports.flatMap(({ logs }) => logs.map(({ message }) => message));
  }
}
