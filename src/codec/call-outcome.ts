import { MillraceError } from "../core/errors.js";
import { isSignal, Signal, type SignalKind } from "../core/signal.js";
import type { ErrorClass } from "../core/task.js";
import { type Crossing, packValue, unpackValue } from "./crossing.js";
import { type FailureRecord, fromFailure, toFailure } from "./failure.js";

/** How a call of a task's function ended, as plain data that crosses between threads. */
export type CallOutcome =
  | { readonly kind: "returned"; readonly value: Crossing | null }
  | { readonly kind: "threw"; readonly failure: FailureRecord; readonly retryOn: number }
  | { readonly kind: "signalled"; readonly thrown: boolean; readonly signal: WireSignal };

interface WireSignal {
  readonly kind: SignalKind;
  readonly message: string | null;
  readonly value: Crossing | null;
  readonly dueAt: number | null;
  readonly delayMs: number | null;
}

/** What the outcome of a call must know of the task. */
export interface CalledTask {
  readonly name: string;
  /** The classes that its `retryOn` names: an error keeps the first of them that it is an instance of. */
  readonly retryOn: readonly ErrorClass[];
}

/** Where the function ran: `call`'s end as data. Never throws: a value that cannot cross is an error of the task. */
export async function toOutcome(call: () => unknown, task: CalledTask): Promise<CallOutcome> {
  try {
    const value = await call();
    if (isSignal(value)) return { kind: "signalled", thrown: false, signal: toWireSignal(value, task) };
    return {
      kind: "returned",
      value: value === undefined ? null : packValue(value, `The result of task "${task.name}"`),
    };
  } catch (error) {
    return toThrown(error, task);
  }
}

function toThrown(error: unknown, task: CalledTask): CallOutcome {
  try {
    if (isSignal(error)) return { kind: "signalled", thrown: true, signal: toWireSignal(error, task) };
  } catch (cannotCross) {
    return { kind: "threw", failure: toFailure(cannotCross), retryOn: -1 };
  }
  const retryOn = task.retryOn.findIndex((each) => error instanceof each);
  return { kind: "threw", failure: toFailure(error), retryOn };
}

/** Where the call was made: what it returns. @throws what it threw */
export function fromOutcome(outcome: CallOutcome, task: CalledTask): unknown {
  if (outcome.kind === "returned") return outcome.value === null ? undefined : unpackValue(outcome.value);
  if (outcome.kind === "threw") throw asThrown(outcome.failure, task.retryOn[outcome.retryOn]);
  const signal = fromWireSignal(outcome.signal);
  if (outcome.thrown) throw signal;
  return signal;
}

/** `instanceof` is how `retryOn` tells errors: the copy is made an instance of the same class. */
function asThrown(failure: FailureRecord, kept: ErrorClass | undefined): Error {
  const error = fromFailure(failure);
  if (kept && !(error instanceof kept)) Object.setPrototypeOf(error, kept.prototype as object);
  return error;
}

function toWireSignal({ kind, facts }: Signal, { name }: CalledTask): WireSignal {
  const { message, value, dueAt, delayMs, schema } = facts;
  if (schema !== undefined) {
    // Its code checks and converts the input when the task is resumed, in the thread of the flow run.
    throw new MillraceError(
      "VALUE_NOT_SERIALIZABLE",
      `The schema of task "${name}"'s pause is code, and cannot cross between threads.`,
      { hint: "Give the task `{ inline: true }`, which runs it on the flow run's own thread." },
    );
  }
  return {
    kind,
    message: message ?? null,
    value: value === undefined ? null : packValue(value, `The value of task "${name}"'s signal`),
    dueAt: dueAt ?? null,
    delayMs: delayMs ?? null,
  };
}

function fromWireSignal({ kind, message, value, dueAt, delayMs }: WireSignal): Signal {
  return new Signal(kind, {
    message: message ?? undefined,
    value: value === null ? undefined : unpackValue(value),
    dueAt: dueAt ?? undefined,
    delayMs: delayMs ?? undefined,
  });
}
