import { AsyncLocalStorage } from "node:async_hooks";
import { MillraceError } from "../core/errors.js";

/*
 * What a run leaves behind on its thread, and the errors that come from it later. Node tears a thread down on an uncaught
 * error and piscina then blames the run that is on it, which may be the next one. So errors are told apart by the run in
 * whose context they were thrown: that of the run at hand ends the thread, as it should; that of a run that is over is
 * printed, and the thread is replaced when the run at hand is done.
 */

// Taken before flow code can replace them.
const { setImmediate, setTimeout } = globalThis;
const { getActiveResourcesInfo, eventNames, listenerCount } = process;

/** Handles that are being closed are gone within this time; measured: a destroyed socket takes two turns of the loop, well under 1 ms. */
const LEFTOVER_GRACE_MS = 10;

export interface RunScope {
  /**
   * Runs one run's code. `run` calls `loaded` when the flow's module stands: what the module opened is the thread's, what
   * comes after is the run's.
   */
  enter<T>(run: (loaded: () => void) => Promise<T>): Promise<{ result: T; leftovers: string[] }>;
  /**
   * Runs one call of a task: what it opens may stay open for the calls that come after it, a connection pool for instance.
   * `late`: what code of earlier calls has thrown meanwhile.
   */
  enterCall<T>(call: () => Promise<T>): Promise<{ result: T; late: string[] }>;
}

/** Call once in a thread. */
export function openRunScope(): RunScope {
  const scopes = new AsyncLocalStorage<object>();
  let current: object | undefined;
  let late: string[] = [];
  const isLate = () => {
    const of = scopes.getStore();
    return of !== undefined && of !== current;
  };
  const { exit } = process;
  process.exit = (code) => {
    if (isLate())
      throw new MillraceError("WORKER_EXITED", `process.exit(${code ?? ""}) was called after the run had ended.`);
    return exit.call(process, code);
  };
  process.on("uncaughtException", (error) => {
    if (!isLate()) {
      // A handler of the flow's own is the flow's say in the matter.
      if (listenerCount.call(process, "uncaughtException") > 1) return;
      throw error;
    }
    late.push("an error after its run had ended");
    process.stderr.write(`A task threw after its run had ended: ${describe(error)}\n`);
  });
  return {
    async enter(run) {
      const scope = {};
      current = scope;
      let before = takeStock();
      try {
        const result = await scopes.run(scope, run, () => {
          before = takeStock();
        });
        const leftovers = [...(await findLeftovers(before)), ...late];
        return { result, leftovers };
      } finally {
        current = undefined;
        late = [];
      }
    },
    async enterCall(call) {
      const scope = {};
      current = scope;
      try {
        const result = await scopes.run(scope, call);
        await turnOfTheLoop();
        return { result, late };
      } finally {
        current = undefined;
        late = [];
      }
    },
  };
}

type Stock = ReadonlyMap<string, number>;

/** What keeps the thread's loop alive, by kind, and the process's listeners. */
function takeStock(): Stock {
  const stock = new Map<string, number>();
  for (const kind of getActiveResourcesInfo.call(process)) stock.set(kind, (stock.get(kind) ?? 0) + 1);
  for (const name of eventNames.call(process))
    stock.set(`listener of ${String(name)}`, listenerCount.call(process, name as string));
  return stock;
}

/** Lost promises and immediates of a run show themselves while it is still the run at hand. */
function turnOfTheLoop(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

async function findLeftovers(before: Stock): Promise<string[]> {
  await turnOfTheLoop();
  if (compare(before).length === 0) return [];
  await new Promise((resolve) => setTimeout(resolve, LEFTOVER_GRACE_MS));
  return compare(before);
}

function compare(before: Stock): string[] {
  return [...takeStock()].flatMap(([kind, count]) => {
    const more = count - (before.get(kind) ?? 0);
    return more > 0 ? [`${more} ${kind}`] : [];
  });
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
