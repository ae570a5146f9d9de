import { type MessagePort, receiveMessageOnPort } from "node:worker_threads";
import { type Crossing, isCrossing, packValue, unpackValue } from "../codec/crossing.js";
import { type FailureRecord, fromFailure, toFailure } from "../codec/failure.js";
import type { Logger, LogLevel } from "../core/context.js";
import type { FromTaskThread, ToTaskThread } from "./task-messages.js";

/*
 * Both ends of the port between the thread of a flow run and a thread of its tasks. Plain messages, without comlink: a line
 * of a log needs no answer. What comes from the task's thread is checked before it is used.
 */

/** What a call may do in the flow run's thread. */
export interface CallLinks {
  readonly logger: Logger;
  secret(name: string): Promise<unknown>;
  /** Asks the call's code to stop. */
  readonly signal: AbortSignal;
}

/** The end in the flow run's thread. */
export interface ServedPort {
  /** Serves a call until the function that it returns is called. */
  serve(callId: number, links: CallLinks): () => void;
  close(): void;
}

const methods = { DEBUG: "debug", INFO: "info", WARNING: "warn", ERROR: "error", CRITICAL: "error" } as const;

/** @param refuse Told of a message that is none of ours. */
export function servePort(port: MessagePort, refuse: (what: string) => void): ServedPort {
  let current: { callId: number; links: CallLinks } | undefined;
  const send = (message: ToTaskThread) => port.postMessage(message);
  const take = (message: unknown) => {
    if (!isFromTaskThread(message)) return refuse("a message that is none of ours");
    // Of a call that has ended nobody asks any more.
    if (current?.callId !== message.callId) return;
    const { links } = current;
    if (message.about === "log") return links.logger[methods[message.level]](message.message);
    const { askId } = message;
    const answer = (given: Crossing | FailureRecord) => send({ about: "answer", askId, answer: given });
    void links
      .secret(message.name)
      .then((value) => packValue(value, `The secret "${message.name}"`))
      .then(answer, (error: unknown) => answer(toFailure(error)));
  };
  port.on("message", take);
  port.on("messageerror", () => refuse("a message that cannot be read"));
  // While a call is under way piscina keeps the process alive; when none is, nothing is to.
  port.unref();
  return {
    serve(callId, links) {
      const { signal } = links;
      current = { callId, links };
      const pass = () => send({ about: "abort", callId, reason: toFailure(signal.reason) });
      signal.addEventListener("abort", pass);
      if (signal.aborted) pass();
      return () => {
        // Lines from before the call's end, which has come by another way.
        for (let next = receiveMessageOnPort(port); next; next = receiveMessageOnPort(port)) take(next.message);
        signal.removeEventListener("abort", pass);
        current = undefined;
      };
    },
    close: () => port.close(),
  };
}

/** The end in the task's thread. */
export interface AskingPort {
  /** From now on the call is that one; `abort` is called when its signal fires. */
  begin(callId: number, abort: (reason: unknown) => void): CallPort;
}

export interface CallPort {
  log(level: LogLevel, message: string): void;
  secret(name: string): Promise<unknown>;
}

export function askPort(port: MessagePort): AskingPort {
  let current: { callId: number; abort: (reason: unknown) => void } | undefined;
  const waiting = new Map<number, (answer: Crossing | FailureRecord) => void>();
  let askId = 0;
  const send = (message: FromTaskThread) => port.postMessage(message);
  port.on("message", (message: ToTaskThread) => {
    if (message.about === "abort") {
      if (current?.callId === message.callId) current.abort(fromFailure(message.reason));
      return;
    }
    waiting.get(message.askId)?.(message.answer);
    waiting.delete(message.askId);
  });
  // piscina's own port keeps the thread.
  port.unref();
  return {
    begin(callId, abort) {
      current = { callId, abort };
      return {
        log: (level, message) => send({ about: "log", callId, level, message }),
        async secret(name) {
          askId += 1;
          const { promise, resolve } = Promise.withResolvers<Crossing | FailureRecord>();
          waiting.set(askId, resolve);
          send({ about: "secret", callId, askId, name: String(name) });
          const answer = await promise;
          if (isCrossing(answer)) return unpackValue(answer);
          throw fromFailure(answer);
        },
      };
    },
  };
}

function isFromTaskThread(message: unknown): message is FromTaskThread {
  if (typeof message !== "object" || message === null) return false;
  const { about, callId, level, message: text, askId, name } = message as Record<string, unknown>;
  if (typeof callId !== "number") return false;
  if (about === "log") return typeof level === "string" && Object.hasOwn(methods, level) && typeof text === "string";
  return about === "secret" && typeof askId === "number" && typeof name === "string";
}
