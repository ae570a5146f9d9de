import type { Socket } from "node:net";
import { encodeFrame, type Frame, FrameReader } from "../codec/frames.js";
import type { Answer } from "./transport.js";

/** Longer than the Cloud's polls are apart, and shorter than a Cloud, or most proxies, keep a quiet connection. */
const IDLE_MS = 30_000;
/** More than any answer of the API: its reads are bounded by rows and its bodies by 5 MiB. */
const MAX_ANSWER_BYTES = 256 * 1024 * 1024;

interface Call {
  sentAt: number;
  timer: NodeJS.Timeout;
  resolve(answer: Answer): void;
  reject(error: Error): void;
}

/** Why a call on an open connection got no answer; the code is one that socket errors have. */
function brokenError(message: string, code: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code });
}

/** A connection on which calls and answers pass as frames, many at once. When it breaks, every call under way is rejected. */
export class OpenConnection {
  readonly #socket: Socket;
  readonly #timeoutMs: number;
  readonly #calls = new Map<number, Call>();
  readonly #reader = new FrameReader({ maxBytes: MAX_ANSWER_BYTES, maxPassedOver: MAX_ANSWER_BYTES });
  readonly #closed: Promise<void>;
  #lastId = 0;
  #heardAt = 0;
  #answered = false;
  #ending = false;

  /** @param onClosed is told whether the connection has ever answered. */
  constructor(socket: Socket, timeoutMs: number, onClosed: (answered: boolean) => void) {
    this.#socket = socket;
    this.#timeoutMs = timeoutMs;
    let why: Error | undefined;
    socket.setNoDelay(true);
    socket.setTimeout(IDLE_MS);
    socket.once("timeout", () => this.#endWhenDone(true));
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("error", (error) => {
      why = error;
    });
    socket.once("end", () => socket.destroy());
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#closed = promise;
    socket.once("close", () => {
      const error = why ?? brokenError("the connection was closed by the other side", "ECONNRESET");
      for (const id of [...this.#calls.keys()]) this.#end(id)?.reject(error);
      onClosed(this.#answered);
      resolve();
    });
    // Nothing is under way yet: an open connection alone keeps no process alive.
    socket.unref();
  }

  /** May it be given a call? */
  get usable(): boolean {
    return !this.#ending && this.#socket.writable;
  }

  /** Rejects when the connection breaks, or no answer comes in time. */
  call(body: string): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const id = this.#nextId();
      const timer = setTimeout(() => this.#timedOut(id), this.#timeoutMs);
      if (this.#calls.size === 0) this.#socket.ref();
      this.#calls.set(id, { sentAt: performance.now(), timer, resolve, reject });
      this.#socket.write(encodeFrame(id, 0, body));
    });
  }

  /** Takes no more calls, and closes when those under way have ended. */
  close(): Promise<void> {
    this.#endWhenDone(true);
    return this.#closed;
  }

  #nextId(): number {
    do this.#lastId = (this.#lastId + 1) >>> 0;
    while (this.#calls.has(this.#lastId));
    return this.#lastId;
  }

  #read(chunk: Buffer): void {
    this.#heardAt = performance.now();
    try {
      this.#reader.push(chunk, (frame) => this.#take(frame));
    } catch (error) {
      this.#socket.destroy(error as Error);
    }
    this.#endWhenDone(false);
  }

  #take({ id, status, body }: Frame): void {
    // FrameReader passes over nothing here: both of its limits are the same.
    if (body === undefined) return;
    this.#answered = true;
    this.#end(id)?.resolve({ status, contentType: "application/graphql-response+json; charset=utf-8", text: body });
  }

  #end(id: number): Call | undefined {
    const call = this.#calls.get(id);
    if (!call) return undefined;
    clearTimeout(call.timer);
    this.#calls.delete(id);
    if (this.#calls.size === 0) this.#socket.unref();
    return call;
  }

  /** One slow answer is that call's trouble; when nothing at all was heard, nobody is there any more. */
  #timedOut(id: number): void {
    const call = this.#calls.get(id);
    if (!call) return;
    const error = brokenError(`timeout: no answer within ${this.#timeoutMs} ms`, "ETIMEDOUT");
    if (this.#heardAt < call.sentAt) {
      this.#socket.destroy(error);
      return;
    }
    this.#end(id)?.reject(error);
    this.#endWhenDone(false);
  }

  #endWhenDone(from: boolean): void {
    this.#ending ||= from;
    if (this.#ending && this.#calls.size === 0) this.#socket.end(() => this.#socket.destroy());
  }
}
