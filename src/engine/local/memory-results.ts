import { MillraceError } from "../../core/errors.js";
import type { ResultRecord, State } from "../../core/state.js";
import type { CacheIndex, CacheOwner, ResultPlace, ResultStore } from "../ports.js";
import { KeptResults } from "./kept-results.js";

/** What one run without a Cloud leaves for the next one in this process, as Prefect's `context.caches`. */
const kept = new KeptResults();

/** Forgets the cached results of all runs without a Cloud; those under an agent are the Cloud's. For tests. */
export function clearCaches(): void {
  kept.clear();
}

/** Where a run without a Cloud keeps values: in memory, as themselves, but for those that an author wants kept elsewhere. */
export class MemoryResults implements ResultStore {
  readonly #values = new Map<string, unknown>();
  readonly #elsewhere: ResultStore | undefined;

  /** @param elsewhere For results whose author has chosen a place. Default: they stay in memory too. */
  constructor(elsewhere?: ResultStore) {
    this.#elsewhere = elsewhere;
  }

  async write(value: unknown, place: ResultPlace): Promise<ResultRecord | undefined> {
    if (value === undefined) return undefined;
    if (place.options && this.#elsewhere) return this.#elsewhere.write(value, place);
    this.#values.set(place.taskRunId, value);
    return { type: "Result", location: place.taskRunId };
  }

  async read(record: ResultRecord): Promise<unknown> {
    const { type, location } = record;
    if (type !== "Result" && this.#elsewhere) return this.#elsewhere.read(record);
    if (location !== null && this.#values.has(location)) return this.#values.get(location);
    const earlier = location === null ? undefined : kept.read(location);
    if (earlier) return earlier.value;
    throw new MillraceError("RESULT_NOT_FOUND", `No result was kept under "${location}".`, {
      hint: "Values of a run without a Cloud are kept in memory, and as long as there is room: run the task again.",
    });
  }

  async find(target: string, place: ResultPlace): Promise<ResultRecord | undefined> {
    return this.#elsewhere?.find(target, place);
  }

  /** The value that this run keeps in memory under a state's result. */
  inMemory({ result }: State): { readonly itself: unknown } | undefined {
    if (result?.type !== "Result" || result.location === null || !this.#values.has(result.location)) return undefined;
    return { itself: this.#values.get(result.location) };
  }
}

/** The cached results of all runs without a Cloud in this process. @param results Of the run at hand. */
export function memoryCaches(results: MemoryResults): CacheIndex {
  const keyOf = ({ taskId, cacheKey }: CacheOwner) => (cacheKey === undefined ? `task ${taskId}` : `key ${cacheKey}`);
  return {
    candidates: async (of) => kept.states(keyOf(of), of.sinceAt),
    add: (of, state) => kept.add(keyOf(of), state, results.inMemory(state)),
  };
}
