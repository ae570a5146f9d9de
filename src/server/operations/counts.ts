/**
 * What the hot path counts, as plain numbers: prom-client reads them when somebody asks for the metrics. Asking costs; being
 * counted costs an addition.
 */
export class Counts {
  flowRunStates = 0;
  taskRunStates = 0;
  claims = 0;
  /** By name: histograms of seconds. */
  readonly requests = new Map<string, RequestCount>();
  readonly writes = new Durations();

  /** @param operation A root field's name: there are as many as the schema has. */
  request(operation: string, outcome: Outcome, ms: number): void {
    let count = this.requests.get(operation);
    if (count === undefined) {
      count = { outcomes: { ok: 0, errors: 0, refused: 0, unavailable: 0 }, durations: new Durations() };
      this.requests.set(operation, count);
    }
    count.outcomes[outcome] += 1;
    count.durations.note(ms);
  }
}

/** `errors`: it was executed and something of it was refused or failed; `refused`: it was not executed. */
export type Outcome = "ok" | "errors" | "refused" | "unavailable";

export interface RequestCount {
  readonly outcomes: Record<Outcome, number>;
  readonly durations: Durations;
}

/** Upper bounds in milliseconds. A request takes 0.3 ms, clients wait 15 s. */
export const BOUNDS_MS = [1, 5, 25, 100, 500, 2_500, 15_000] as const;

/** How many lasted up to each bound (the last: longer than any), and how long all of them lasted. */
export class Durations {
  readonly counts: number[] = Array<number>(BOUNDS_MS.length + 1).fill(0);
  sumMs = 0;

  note(ms: number): void {
    let place = 0;
    while (place < BOUNDS_MS.length && ms > BOUNDS_MS[place]!) place += 1;
    this.counts[place]! += 1;
    this.sumMs += ms;
  }
}
