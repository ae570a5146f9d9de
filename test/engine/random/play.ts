import { fromWireState, toWireState } from "../../../src/codec/state-json.js";
import { MillraceError } from "../../../src/core/errors.js";
import { isTerminal, type ResultRecord, type State, type StateType } from "../../../src/core/state.js";
import { inlineExecutor } from "../../../src/engine/executors.js";
import { runFlow } from "../../../src/engine/flow-runner.js";
import { localPorts } from "../../../src/engine/local/local-ports.js";
import type { EnginePorts, KnownTaskRun, ResultStore } from "../../../src/engine/ports.js";
import { FakeClock, knownAfter, nameOf, type Recorded, settled } from "../bed.js";
import { toFlow } from "./build.js";
import type { ExpectedFlow } from "./model.js";
import type { FlowSpec } from "./spec.js";
import { Witness } from "./witness.js";

/** How a random flow is run. */
export interface How {
  /** How many functions at once. */
  readonly limit?: number;
  /** Are reports accepted together, a turn of the event loop later? */
  readonly inTurns?: boolean;
  /** After how many accepted reports each agent dies; those behind the last one live. */
  readonly kills?: readonly number[];
  /** Does an agent that dies lose its lease, or is it told so by a refusal? */
  readonly bySignal?: boolean;
  readonly maxWaitMs?: number;
  /** Nobody is there who answers pauses; they are resumed from outside. */
  readonly nobody?: boolean;
  /** Are all task runs known from the start, as a Cloud knows them? */
  readonly seeded?: boolean;
}

export interface Played {
  /** The flow run's final state. */
  readonly type: StateType;
  readonly output: unknown;
  /** Did one agent live to see it from its beginning to its end? */
  readonly byOne: boolean;
  readonly runs: ReadonlyMap<string, { readonly type: StateType; readonly value: unknown }>;
  /** What was reported and accepted, in order. */
  readonly lines: readonly string[];
  readonly faults: readonly string[];
  readonly agents: number;
  readonly calls: number;
}

/** No flow takes more agents than its kills and its pauses. */
const MOST_AGENTS = 3_000;

/** Runs the flow to its end, by as many agents as it takes. */
export async function play(spec: FlowSpec, expected: ExpectedFlow, how: How = {}): Promise<Played> {
  const clock = new FakeClock();
  const results = new ContentResults();
  const witness = new Witness(expected, how.limit ?? Number.POSITIVE_INFINITY, how.nobody === true);
  const flow = toFlow(spec, clock, witness);
  let known: KnownTaskRun[] = how.seeded ? pendingRuns(expected) : [];
  const accepted: Recorded[] = [];
  for (let agent = 0; agent < MOST_AGENTS; agent += 1) {
    const killAfter = how.kills?.[agent] ?? Number.POSITIVE_INFINITY;
    const stop = new AbortController();
    const reporter = witness.newAgent({ ...how, killAfter }, (reason) => stop.abort(reason));
    const ports: EnginePorts = {
      ...localPorts({ signal: stop.signal }),
      ...{ reporter, results, clock },
      executor: inlineExecutor(how.limit ?? Number.POSITIVE_INFINITY),
      maxWaitMs: how.maxWaitMs ?? Number.POSITIVE_INFINITY,
      approve: how.nobody ? undefined : async () => ({ input: 1 }),
    };
    const run = {
      ...{ flowRunId: "flow run", flowRunName: "a run", flowId: "flow", parameters: {} },
      ...{ scheduledStartAt: "2026-01-01T00:00:00.000Z", taskRuns: known },
    };
    const outcome = await runFlow(flow, run, ports).catch((error: unknown) => {
      if (!reporter.isDead) throw error;
    });
    await settled();
    if (clock.sleepers > 0) witness.faults.push(`${clock.sleepers} timers are left behind agent ${agent}`);
    accepted.push(...reporter.accepted);
    known = merge(known, reporter.accepted);
    const last = accepted.findLast((each) => each.taskSlug === null)?.state;
    if (last && isTerminal(last)) {
      const lines = accepted.map((each) => `${nameOf(each)} ${each.state.type}`);
      const { faults, calls } = witness;
      const runs = await endsOf(outcome?.taskRuns ?? known.map((each) => ({ ...each, value: undefined })), results);
      const byOne = agent === 0 && outcome !== undefined;
      return { type: last.type, output: outcome?.output, byOne, lines, faults, calls, agents: agent + 1, runs };
    }
    if (outcome?.end.kind === "waiting") known = comeBack(known, outcome.end.dueAt, clock, witness);
  }
  throw new Error(`The flow did not end with ${MOST_AGENTS} agents.`);
}

/** Task runs as a Cloud makes them with the flow run: all but the children. */
function pendingRuns({ flow }: ExpectedFlow): KnownTaskRun[] {
  return flow.tasks.map(({ name }) => {
    const state: State = { type: "Pending", message: "Task run created", at: "2026-01-01T00:00:00.000Z" };
    return { taskRunId: `the run of ${name}`, taskSlug: name, mapIndex: -1, version: 1, state };
  });
}

/** What the next agent is told: the states as they come back from the wire. */
function merge(known: readonly KnownTaskRun[], accepted: readonly Recorded[]): KnownTaskRun[] {
  const after = knownAfter(accepted).map(({ state, ...each }) => ({ ...each, state: state && throughJson(state) }));
  const byId = new Map([...known, ...after].map((each) => [each.taskRunId, each]));
  return [...byId.values()];
}

const throughJson = (state: State): State =>
  fromWireState(JSON.parse(JSON.stringify(toWireState(state))) as unknown, state.at);

/** Time goes on until something is due; what waits for someone is resumed when nothing else is. */
function comeBack(
  known: readonly KnownTaskRun[],
  dueAt: string | null,
  clock: FakeClock,
  witness: Witness,
): KnownTaskRun[] {
  if (dueAt !== null) {
    clock.burn(Math.max(0, Date.parse(dueAt) - clock.now()));
    return [...known];
  }
  const at = new Date(clock.now()).toISOString();
  return known.map((each) => {
    const { state } = each;
    if (state?.type !== "Paused" || state.startAt !== null) return each;
    witness.resumed(each.taskRunId, nameOf(each));
    return { ...each, version: each.version + 1, state: { ...state, type: "Resume", startAt: at, at } };
  });
}

type Ended = Omit<KnownTaskRun, "version"> & { readonly value: unknown };

async function endsOf(taskRuns: readonly Ended[], results: ContentResults): Promise<Played["runs"]> {
  const ends = new Map<string, { type: StateType; value: unknown }>();
  for (const each of taskRuns) {
    const { state } = each;
    if (!state || !isTerminal(state)) throw new Error(`${nameOf(each)} is ${state?.type}`);
    const value = each.value === undefined && state.result ? await results.read(state.result) : each.value;
    ends.set(nameOf(each), { type: state.type, value: state.type === "Mapped" ? undefined : value });
  }
  return ends;
}

/** As a store of bytes: each value is a copy, and none is ever overwritten. */
class ContentResults implements ResultStore {
  readonly #texts: string[] = [];

  async write(value: unknown): Promise<ResultRecord | undefined> {
    if (value === undefined) return undefined;
    // Undefined inside a list is lost in JSON.
    this.#texts.push(JSON.stringify(value, (_, each: unknown) => (each === undefined ? UNDEFINED : each)));
    return { type: "LocalResult", location: String(this.#texts.length - 1) };
  }

  find(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  async read({ location }: ResultRecord): Promise<unknown> {
    const text = this.#texts[Number(location)];
    if (text === undefined) throw new MillraceError("RESULT_NOT_FOUND", `There is no result at "${location}".`);
    return restore(JSON.parse(text));
  }
}

const UNDEFINED = "\u0000undefined";

function restore(value: unknown): unknown {
  if (value === UNDEFINED) return undefined;
  if (Array.isArray(value)) return value.map(restore);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, restore(each)]));
}
