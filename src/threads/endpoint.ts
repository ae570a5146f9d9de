import type { MessagePort } from "node:worker_threads";
import { type Endpoint, expose, wrap } from "comlink";
import { type FailureRecord, toFailure } from "../codec/failure.js";
import { MillraceError } from "../core/errors.js";
import { checkCall } from "./check-call.js";
import { MAX_QUESTIONS } from "./limits.js";
import type { HostAnswer, HostQuestion, ReportReply, RunHost } from "./messages.js";

/*
 * Both ends of a run's port. comlink carries the calls; what it lacks stands here: a look at each message before comlink
 * sees it, calls that end when the port does, and ports that are closed.
 */

/** The main thread's end. */
export interface ExposedHost {
  /** How many reports have come. */
  readonly reports: number;
  close(): void;
}

/**
 * Serves `host` on a run's port. The first message of another shape closes the port, is told to `onProtocolError`, and
 * nothing that comes after it is looked at.
 */
export function exposeHost(
  port: MessagePort,
  host: RunHost,
  onProtocolError: (error: MillraceError) => void,
): ExposedHost {
  let open = true;
  let reports = 0;
  let reporting = false;
  let questions = 0;
  let waitsForStop = false;
  const close = () => {
    open = false;
    port.close();
  };
  const refuse = (problem: string) => {
    close();
    onProtocolError(new MillraceError("WORKER_PROTOCOL", `A worker thread sent ${problem}.`));
  };
  // Without a prototype, so that a path of property names finds these two functions and nothing else.
  const served = Object.assign(Object.create(null), {
    report(report: Parameters<RunHost["report"]>[0]) {
      return host.report(report).finally(() => {
        reporting = false;
      });
    },
    ask(question: HostQuestion) {
      return host.ask(question).finally(() => {
        questions -= 1;
      });
    },
    stopped: () => host.stopped(),
  });
  const endpoint = rawEndpoint(
    port,
    () => open,
    (message, hand) => {
      const call = checkCall(message);
      if ("problem" in call) return refuse(call.problem);
      if (call.method === "report") {
        if (reporting) return refuse("a report before the last one was answered");
        reporting = true;
        reports += 1;
      } else if (call.method === "ask") {
        if (questions === MAX_QUESTIONS) return refuse("too many questions at once");
        questions += 1;
      } else {
        if (waitsForStop) return refuse("the same question twice");
        waitsForStop = true;
      }
      hand(message);
    },
  );
  port.on("messageerror", () => refuse("a message that cannot be read"));
  expose(served, endpoint);
  return {
    get reports() {
      return reports;
    },
    close,
  };
}

/** The worker thread's end. */
export interface ConnectedHost {
  host: RunHost;
  close(): void;
}

/**
 * Connects to the host on the other side of `port`. When the other side goes away, calls that are under way answer
 * RUN_STOPPED; when this side closes, reports do, and the question when to stop is left open.
 */
export function connectHost(port: MessagePort): ConnectedHost {
  let open = true;
  const waiting = new Set<() => void>();
  let tellStopped = (_: FailureRecord) => {};
  const remote = wrap<RunHost>(
    rawEndpoint(
      port,
      () => open,
      (message, hand) => hand(message),
    ),
  );
  // Taken once: each look at a property makes comlink another proxy.
  const { report, ask, stopped } = remote;
  const end = () => {
    open = false;
    for (const giveUp of waiting) giveUp();
    waiting.clear();
  };
  /** A call that ends when the port does. */
  const call = <T>(start: () => Promise<T>, failed: (failure: FailureRecord) => T): Promise<T> =>
    new Promise((resolve) => {
      if (!open) return resolve(failed(PORT_CLOSED));
      const giveUp = () => resolve(failed(PORT_CLOSED));
      waiting.add(giveUp);
      const settle = (answer: T) => {
        waiting.delete(giveUp);
        resolve(answer);
      };
      start().then(settle, (error: unknown) => settle(failed(toFailure(error))));
    });
  port.on("close", () => {
    end();
    tellStopped(PORT_CLOSED);
  });
  return {
    host: {
      report: (batch) =>
        call<ReportReply>(
          () => report(batch),
          (failure) => failure,
        ),
      ask: (question) =>
        call<HostAnswer>(
          () => ask(question),
          (failure) => ({ failure }),
        ),
      stopped: () =>
        new Promise((resolve) => {
          if (!open) return resolve(PORT_CLOSED);
          tellStopped = resolve;
          stopped().then(resolve, (error: unknown) => resolve(toFailure(error)));
        }),
    },
    close() {
      tellStopped = () => {};
      end();
      port.close();
    },
  };
}

/** Written out, since a stack costs more than a call does. */
const PORT_CLOSED: FailureRecord = {
  name: "MillraceError",
  message: "The agent has closed the run's port.",
  code: "RUN_STOPPED",
  hint: null,
  stack: null,
  details: null,
  cause: null,
};

/**
 * A port as comlink wants it. Messages are taken with `on`, as raw data; comlink is handed closures over the port and never
 * the port itself.
 */
function rawEndpoint(
  port: MessagePort,
  isOpen: () => boolean,
  receive: (message: unknown, hand: (message: unknown) => void) => void,
): Endpoint {
  return {
    addEventListener(_type, listener) {
      const hand = listener as unknown as (event: { data: unknown }) => void;
      port.on("message", (message) => {
        if (isOpen()) receive(message, (data) => hand({ data }));
      });
    },
    // comlink takes a listener away only after a RELEASE message, which is not let through.
    removeEventListener() {},
    postMessage(message, transfer) {
      if (isOpen()) port.postMessage(message, (transfer ?? []) as never);
    },
  };
}
