import t from "tap";
import {
  isCached,
  isCancelled,
  isFailed,
  isFinished,
  isLooped,
  isMapped,
  isMeta,
  isPaused,
  isPending,
  isQueued,
  isResumed,
  isRetrying,
  isRunning,
  isScheduled,
  isSkipped,
  isStateType,
  isSubmitted,
  isSuccessful,
  isTerminal,
  isTimedOut,
  isTriggerFailed,
  isType,
  makeState,
  type StateType,
  stateColors,
  stateTypes,
  unwrapState,
} from "../../src/core/state.js";
import { refuseFlowRunMove, refuseTaskRunMove } from "../../src/core/transitions.js";

/** Which questions each kind of state answers with yes. */
const answers: Record<StateType, string> = {
  Pending: "pending",
  Scheduled: "pending scheduled",
  Paused: "pending scheduled paused",
  Resume: "pending scheduled resumed",
  Retrying: "pending scheduled retrying",
  Submitted: "submitted meta",
  Queued: "scheduled queued meta",
  ClientFailed: "meta",
  Running: "running",
  Cancelling: "running",
  Finished: "finished terminal",
  Looped: "finished looped",
  Success: "finished terminal successful",
  Cached: "finished terminal successful cached",
  Mapped: "finished terminal successful mapped",
  Skipped: "finished terminal successful skipped",
  Cancelled: "finished terminal cancelled",
  Failed: "finished terminal failed",
  TimedOut: "finished terminal failed timedOut",
  TriggerFailed: "finished terminal failed triggerFailed",
  ValidationFailed: "finished terminal failed",
};

t.test("states answer questions, so that nobody compares names", async (t) => {
  t.same([...stateTypes].sort(), Object.keys(answers).sort());
  const questions = {
    pending: isPending,
    scheduled: isScheduled,
    running: isRunning,
    finished: isFinished,
    terminal: isTerminal,
  };
  const outcomes = {
    successful: isSuccessful,
    mapped: isMapped,
    skipped: isSkipped,
    cancelled: isCancelled,
    failed: isFailed,
    cached: isCached,
    timedOut: isTimedOut,
    triggerFailed: isTriggerFailed,
    looped: isLooped,
    retrying: isRetrying,
    paused: isPaused,
    resumed: isResumed,
    submitted: isSubmitted,
    queued: isQueued,
    meta: isMeta,
  };
  for (const type of stateTypes) {
    const yes = Object.entries({ ...questions, ...outcomes }).filter(([, holds]) => holds({ type }));
    t.equal(yes.map(([name]) => name).join(" "), answers[type], type);
  }
});

t.test("only the protocol's names are types of states", async (t) => {
  for (const value of ["success", "", "toString", "__proto__", null, 3, undefined])
    t.notOk(isStateType(value), String(value));
  t.ok(isStateType("TimedOut"));
  t.ok(isType("TimedOut", "Finished"));
  t.notOk(isType("Finished", "TimedOut"));
});

t.test("a state is entered now unless it says when", async (t) => {
  const before = Date.now();
  const state = makeState("Running", null);
  t.ok(Date.parse(state.at) >= before && Date.parse(state.at) <= Date.now());
  t.same(makeState("Failed", "no", { at: "2026-01-01T00:00:00.000Z", runCount: 2 }), {
    type: "Failed",
    message: "no",
    at: "2026-01-01T00:00:00.000Z",
    runCount: 2,
  });
});

t.test("a terminal state is never left, of whichever run, but for a success that becomes a cached one", async (t) => {
  for (const from of stateTypes.filter((type) => isTerminal({ type }))) {
    for (const to of stateTypes) {
      if (from === "Success" && to === "Cached") t.equal(refuseTaskRunMove(from, to), null);
      else t.match(refuseTaskRunMove(from, to), /stays so/, `task run ${from} → ${to}`);
      t.match(refuseFlowRunMove(from, to), /stays so/, `flow run ${from} → ${to}`);
    }
  }
});

t.test("a run without a state takes any", async (t) => {
  for (const to of stateTypes) {
    t.equal(refuseTaskRunMove(null, to), null);
    t.equal(refuseFlowRunMove(null, to), null);
  }
});

t.test("a task run goes the ways of a task run", async (t) => {
  const legal: [StateType, StateType][] = [
    ["Pending", "Running"],
    ["Scheduled", "Running"],
    ["Running", "Success"],
    ["Running", "Retrying"],
    ["Retrying", "Running"],
    ["Running", "Running"],
    ["Running", "TimedOut"],
    ["Pending", "TriggerFailed"],
    ["Pending", "Skipped"],
    ["Pending", "Mapped"],
    ["Running", "Looped"],
    ["Looped", "Running"],
    ["Running", "Paused"],
    ["Paused", "Resume"],
    ["Running", "Cancelled"],
    ["Pending", "Queued"],
    // Prefect's client writes it when it could not tell the Cloud of a state.
    ["Running", "ClientFailed"],
  ];
  for (const [from, to] of legal) t.equal(refuseTaskRunMove(from, to), null, `${from} → ${to}`);
  for (const from of stateTypes.filter((type) => isTerminal({ type }))) {
    for (const to of stateTypes) {
      const isSameSuccess = from === "Success" && to === "Cached";
      t.equal(refuseTaskRunMove(from, to), isSameSuccess ? null : `a task run that is ${from} stays so`);
    }
  }
});

t.test("a flow run goes the ways of a flow run", async (t) => {
  const legal: [StateType, StateType][] = [
    ["Scheduled", "Submitted"],
    ["Submitted", "Running"],
    ["Running", "Success"],
    ["Running", "Cancelling"],
    ["Submitted", "Cancelling"],
    ["Cancelling", "Cancelling"],
    ["Cancelling", "Cancelled"],
    ["Cancelling", "Success"],
    ["Scheduled", "Cancelled"],
    ["Running", "Scheduled"],
  ];
  for (const [from, to] of legal) t.equal(refuseFlowRunMove(from, to), null, `${from} → ${to}`);
  const illegal: [StateType, StateType, RegExp][] = [
    ["Cancelling", "Running", /is being cancelled/],
    ["Cancelling", "Scheduled", /is being cancelled/],
    ["Scheduled", "Cancelling", /cancelled at once/],
    ["Running", "Mapped", /never Mapped/],
    ["Running", "Cached", /never Cached/],
    ["Running", "Skipped", /never Skipped/],
    ["Running", "Looped", /never Looped/],
  ];
  for (const [from, to, why] of illegal) t.match(refuseFlowRunMove(from, to), why, `${from} → ${to}`);
});

t.test("every kind of state has a colour for people", async (t) => {
  for (const type of stateTypes) t.match(stateColors[type], /^#[0-9a-f]{6}$/, type);
});

t.test("a state is found underneath the ones around it", async (t) => {
  const inner = makeState("Scheduled", null);
  const submitted = makeState("Submitted", null, { wrapped: inner });
  t.equal(unwrapState(makeState("Queued", null, { wrapped: submitted })), inner);
  t.equal(unwrapState(inner), inner);
  t.equal(unwrapState(null), null);
});
