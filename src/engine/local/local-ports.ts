import type { LogLine } from "../../core/context.js";
import { MillraceError } from "../../core/errors.js";
import type { State } from "../../core/state.js";
import { inlineExecutor } from "../executors.js";
import { runFlow } from "../flow-runner.js";
import type { Clock, EnginePorts, Reporter, ResultStore, SecretSource } from "../ports.js";
import { localSubflows, type RunHere } from "./local-subflows.js";
import { MemoryResults, memoryCaches } from "./memory-results.js";

/** Options of {@link localPorts}; all of them optional. */
export interface LocalPortsOptions {
  /** Ends the run Cancelled. */
  signal?: AbortSignal | undefined;
  /** Where log lines go. Default: nowhere. */
  log?: ((line: LogLine) => void) | undefined;
  /** For results whose author has chosen a place. Default: they stay in memory too. */
  results?: ResultStore | undefined;
  /** Where secrets are found. Default: nowhere. */
  secrets?: SecretSource | undefined;
  /** Told of each state as it is entered; `taskSlug` is null for the flow run's own. */
  onState?: ((change: { taskSlug: string | null; mapIndex: number; state: State }) => void) | undefined;
  /** Runs the flows that `runFlow()` asks for. Default: with these options, and on one thread. */
  runSubflow?: RunHere | undefined;
}

/** How long a run may keep the thread before timers and I/O of its host get a turn: short enough for 60 pictures a second. */
const TURN_MS = 10;

/** setTimeout takes no more than a signed 32-bit number: 24.8 days. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** Ports for a run that no Cloud knows of: every state is accepted, values stay in memory, the clock is the machine's. */
export function localPorts(options: LocalPortsOptions = {}): EnginePorts {
  const results = new MemoryResults(options.results);
  return {
    reporter: localReporter(options),
    results,
    clock: systemClock,
    executor: inlineExecutor(Number.POSITIVE_INFINITY),
    caches: memoryCaches(results),
    secrets: options.secrets ?? noSecrets,
    subflows: localSubflows(options.runSubflow ?? runWith(options)),
    maxWaitMs: Number.POSITIVE_INFINITY,
    signal: options.signal ?? new AbortController().signal,
  };
}

/** Their states are their own: who watches this run is not told of them. */
function runWith({ onState: _, ...shared }: LocalPortsOptions): RunHere {
  return async (flow, run, signal) => (await runFlow(flow, run, localPorts({ ...shared, signal }))).state;
}

function localReporter({ log, onState }: LocalPortsOptions): Reporter {
  const accept = takeTurns();
  return {
    async taskRun({ taskSlug, mapIndex, state }) {
      onState?.({ taskSlug, mapIndex, state });
      return accept();
    },
    async flowRun({ state }) {
      onState?.({ taskSlug: null, mapIndex: -1, state });
      return accept();
    },
    log: (line) => log?.(line),
  };
}

/** Mostly nothing to wait for; a long run of tasks that never wait themselves lets the event loop turn now and then. */
function takeTurns(): () => Promise<void> | undefined {
  let turnEndsAt = performance.now() + TURN_MS;
  let pause: Promise<void> | undefined;
  return () => {
    if (pause || performance.now() < turnEndsAt) return pause;
    pause = new Promise((resolve) => {
      setImmediate(() => {
        pause = undefined;
        turnEndsAt = performance.now() + TURN_MS;
        resolve();
      });
    });
    return pause;
  };
}

const noSecrets: SecretSource = {
  read: async (name) => {
    throw new MillraceError("SECRET_NOT_FOUND", `There is no secret "${name}".`);
  },
};

/** The machine's clock. A wait may be of any length. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const dueAt = performance.now() + ms;
      let timer: NodeJS.Timeout;
      const give = () => {
        const leftMs = dueAt - performance.now();
        timer = setTimeout(leftMs > MAX_TIMER_MS ? give : wake, Math.min(Math.max(leftMs, 0), MAX_TIMER_MS));
      };
      const wake = () => {
        signal.removeEventListener("abort", giveUp);
        resolve();
      };
      const giveUp = () => {
        clearTimeout(timer);
        reject(signal.reason);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      give();
    }),
};
