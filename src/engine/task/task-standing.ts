import type { StandardSchema } from "../../core/parameter.js";
import { isPending, isRunning, type ResultRecord, type State, unwrapState } from "../../core/state.js";

/*
 * What a task run must not lose between two of its states: how often it was tried, its place in a loop, what it was resumed
 * with. In memory it stands in TaskRun; for whoever takes the run up elsewhere it travels in the states themselves.
 */

/** Where a task run stands in a loop. */
export interface LoopPosition {
  /** 1 in the first round. */
  readonly count: number;
  /** The value that the round before handed on, once `known`. */
  value: unknown;
  known: boolean;
  readonly record: ResultRecord | undefined;
}

/** How a task run was resumed. */
export interface Resumption {
  /** As it was given: plain data. */
  readonly given: unknown;
  /** As the schema converted it. */
  input: unknown;
  /** Is it that its pause is over, and nobody came? */
  readonly byTime: boolean;
  /** Is there a schema that has not been asked yet? */
  unchecked: boolean;
  /** True while the function is called to learn its schema: it must not see the input yet. */
  hidden: boolean;
}

export interface Standing {
  readonly runCount: number;
  readonly loop: LoopPosition | undefined;
  readonly resumption: Resumption | undefined;
}

/** The words of a state's context. The first two are the protocol's (section 1.7 of the protocol notes), the others ours. */
const RUN_COUNT = "task_run_count";
const LOOP_COUNT = "_loop_count";
const RESUMED = "resumed";
const BY_TIME = "resumed_by_time";
const INPUT = "input";
const CHECKS_INPUT = "checks_input";

const FRESH: Standing = { runCount: 0, loop: undefined, resumption: undefined };

/** What a state that an earlier agent reported, or someone set by hand, says. */
export function standingIn(known: State | null): Standing {
  const state = unwrapState(known);
  if (!state) return FRESH;
  if (state.type === "Looped") {
    return { ...FRESH, loop: positionAt((state.loopCount ?? 1) + 1, state.result) };
  }
  if (!isPending(state) && !isRunning(state)) return FRESH;
  const { context = {} } = state;
  const count = context[LOOP_COUNT];
  return {
    runCount: triesBefore(state),
    loop: typeof count === "number" ? positionAt(count, state.result) : undefined,
    resumption: context[RESUMED] === true ? resumptionOf(state, undefined) : undefined,
  };
}

/** The tries that count already: a state made inside a try says which one it was, and a pause goes on with that one. */
function triesBefore({ type, runCount, context }: State): number {
  const inside = context?.[RUN_COUNT];
  const counted = typeof inside === "number" ? inside : undefined;
  if (type === "Retrying" || type === "Running") return runCount ?? counted ?? 0;
  return counted === undefined ? 0 : Math.max(0, counted - 1);
}

function positionAt(count: number, record: ResultRecord | undefined): LoopPosition {
  return { count, value: undefined, known: record === undefined, record };
}

/**
 * How a state resumes its task run.
 * @param schema The one that its pause came with, where that was in this process
 */
export function resumptionOf({ type, context }: State, schema: StandardSchema<unknown> | undefined): Resumption {
  // Nobody came before the pause was over: there is nothing to check.
  if (type === "Paused" || context?.[BY_TIME] === true)
    return { given: undefined, input: undefined, byTime: true, unchecked: false, hidden: false };
  const given = context?.[INPUT];
  const unchecked = schema !== undefined || context?.[CHECKS_INPUT] === true;
  return { given, input: unchecked ? undefined : given, byTime: false, unchecked, hidden: false };
}

/** What {@link carriedBy} needs of a task run. */
interface Carrier {
  readonly loop: LoopPosition | undefined;
  readonly resumption: Resumption | undefined;
  readonly resumeSchema: StandardSchema<unknown> | undefined;
}

/** The part of a Running or waiting state that says where the task run stands. @param tryCount Which try it was made in. */
export function carriedBy(
  { loop, resumption, resumeSchema }: Carrier,
  tryCount?: number,
): Pick<State, "context" | "result"> {
  if (tryCount === undefined && !loop && !resumption) return {};
  const context: Record<string, unknown> = {};
  if (tryCount !== undefined) context[RUN_COUNT] = tryCount;
  if (loop) context[LOOP_COUNT] = loop.count;
  if (resumption) {
    context[RESUMED] = true;
    if (resumption.given !== undefined) context[INPUT] = resumption.given;
    if (resumption.byTime) context[BY_TIME] = true;
    else if (resumeSchema || resumption.unchecked) context[CHECKS_INPUT] = true;
  }
  return loop?.record ? { context, result: loop.record } : { context };
}

/** The part of a Paused state that says that an input will be checked. */
export function pausedContext(schema: StandardSchema<unknown> | undefined): Record<string, unknown> {
  return schema ? { [CHECKS_INPUT]: true } : {};
}

export function checksInput({ context }: State): boolean {
  return context?.[CHECKS_INPUT] === true;
}

/** The context of the state that resumes a paused task run: everything that the pause kept, and the input. */
export function resumedContext(paused: State, input: unknown): Record<string, unknown> {
  return { ...paused.context, ...(input === undefined ? {} : { [INPUT]: input }) };
}
