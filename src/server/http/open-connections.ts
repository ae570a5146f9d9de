import { type Server as HttpServer, type IncomingMessage, STATUS_CODES } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { encodeFrame, FRAME_PATH, FRAME_PROTOCOL, type Frame, FrameReader } from "../../codec/frames.js";
import { isMillraceError } from "../../core/errors.js";
import type { CallAnswer, GraphqlApi } from "../api/graphql-api.js";
import { toWireError } from "../api/graphql-error.js";
import type { ServerLogLine } from "../parts.js";
import { MAX_BODY_BYTES, MAX_DRAINED_BYTES, tooLarge } from "./request-body.js";
import type { RequestGate } from "./request-gate.js";

/** Calls of one connection under way at once; while there are more, nothing is read from it. An agent has some four. */
const MAX_UNDER_WAY = 64;

/** How long an open connection may be quiet, and how long one frame may take to come. */
export interface ConnectionTimes {
  /** As long as HTTP's: clients close theirs sooner. */
  idleMs: number;
  frameMs: number;
}
/** node:http gives the head of a request as long. */
const FRAME_MS = 60_000;

/**
 * Connections that were asked for by an HTTP upgrade and stay open: each frame is a call that is answered as a POST of its
 * body would be. Answers go out as they are ready, in any order.
 */
export class OpenConnections {
  readonly #api: Pick<GraphqlApi, "call" | "refuseConnection">;
  readonly #gate: Pick<RequestGate, "check">;
  readonly #log: (line: ServerLogLine) => void;
  readonly #times: ConnectionTimes;
  readonly #open = new Set<OpenConnection>();
  #closing = false;

  constructor(
    api: Pick<GraphqlApi, "call" | "refuseConnection">,
    gate: Pick<RequestGate, "check">,
    log: (line: ServerLogLine) => void,
    times: { idleMs: number; frameMs?: number },
  ) {
    this.#api = api;
    this.#gate = gate;
    this.#log = log;
    this.#times = { frameMs: FRAME_MS, ...times };
  }

  /** How many are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Answers the server's upgrade requests from now on. */
  attach(http: HttpServer): void {
    http.on("upgrade", (request, socket, head) => {
      // Until it is a connection of ours, nobody else listens.
      socket.on("error", () => socket.destroy());
      this.#upgrade(request, socket, head).catch((error: unknown) => {
        this.#log({ level: "error", message: "A connection could not be opened.", error });
        socket.destroy();
      });
    });
  }

  /** Reads no further call, and closes each connection when its calls under way are answered. */
  drain(): void {
    this.#closing = true;
    for (const each of this.#open) each.drain();
  }

  destroy(): void {
    for (const each of this.#open) each.destroy();
  }

  async #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    const stopped = this.#gate.check(request).refusal;
    if (stopped) return refuse(socket, { status: stopped.status, text: this.#errorText(stopped.error) });
    const refusal = isConnectionRequest(request)
      ? await this.#api.refuseConnection(request)
      : { status: 400, text: '{"errors":[{"message":"No such upgrade is known here."}]}' };
    // Who went away meanwhile never says so again.
    if (socket.destroyed) return;
    if (refusal || this.#closing) return refuse(socket, refusal ?? { status: 503, text: "" });
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${FRAME_PROTOCOL}\r\n\r\n`);
    const answer = (frame: Frame) => this.#answer(request, frame);
    const connection = new OpenConnection(socket as Socket, answer, this.#times);
    this.#open.add(connection);
    socket.once("close", () => this.#open.delete(connection));
    if (head.length > 0) socket.unshift(head);
    connection.start();
  }

  async #answer(opening: IncomingMessage, { body, length }: Frame): Promise<CallAnswer> {
    try {
      if (body === undefined) throw tooLarge(length);
      return await this.#api.call(opening, body);
    } catch (error) {
      const status = isMillraceError(error, "BODY_TOO_LARGE") ? 413 : 500;
      return { status, text: this.#errorText(error) };
    }
  }

  #errorText(error: unknown): string {
    return JSON.stringify({ errors: [toWireError(error, this.#log)] });
  }
}

/** Is it for us? Other upgrades that clients offer, for instance to HTTP/2, are passed over by a server that can. */
export function isConnectionRequest({ method, url, headers }: IncomingMessage): boolean {
  const path = (url ?? "/").split("?")[0];
  const named = headers.upgrade?.toLowerCase() === FRAME_PROTOCOL;
  return named && method === "GET" && path === `/graphql/${FRAME_PATH}`;
}

function refuse(socket: Duplex, { status, text, retryAfterS }: CallAnswer): void {
  const lines = [
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}`,
    "Connection: close",
    "Content-Type: application/json; charset=utf-8",
    `Content-Length: ${Buffer.byteLength(text)}`,
    ...(retryAfterS === undefined ? [] : [`Retry-After: ${retryAfterS}`]),
  ];
  socket.end(`${lines.join("\r\n")}\r\n\r\n${text}`, () => socket.destroy());
}

/** One connection. It is closed by either side, by silence, or by a frame that is too long or too slow. */
class OpenConnection {
  readonly #socket: Socket;
  readonly #answer: (frame: Frame) => Promise<CallAnswer>;
  readonly #times: ConnectionTimes;
  readonly #reader = new FrameReader({ maxBytes: MAX_BODY_BYTES, maxPassedOver: MAX_DRAINED_BYTES });
  #underWay = 0;
  #draining = false;
  /** Runs while a frame has begun and is not whole. */
  #frameTimer: NodeJS.Timeout | undefined;

  constructor(socket: Socket, answer: (frame: Frame) => Promise<CallAnswer>, times: ConnectionTimes) {
    this.#socket = socket;
    this.#answer = answer;
    this.#times = times;
  }

  start(): void {
    const socket = this.#socket;
    socket.setNoDelay(true);
    socket.setTimeout(this.#times.idleMs);
    socket.on("timeout", () => {
      if (this.#underWay === 0) socket.destroy();
    });
    socket.on("data", (chunk: Buffer) => this.#read(chunk));
    socket.on("drain", () => this.#flow());
    socket.once("end", () => this.drain());
    socket.once("close", () => clearTimeout(this.#frameTimer));
  }

  drain(): void {
    this.#draining = true;
    this.#socket.pause();
    this.#closeWhenDone();
  }

  destroy(): void {
    this.#socket.destroy();
  }

  #read(chunk: Buffer): void {
    // What had been read when the draining began is not begun any more: its sender is told by the close.
    if (this.#draining) return;
    let taken = 0;
    try {
      this.#reader.push(chunk, (frame) => {
        taken += 1;
        void this.#take(frame);
      });
    } catch {
      // Too long to be listened to; FrameReader throws nothing else.
      this.#socket.destroy();
      return;
    }
    this.#watchFrame(taken > 0);
    this.#flow();
  }

  async #take(frame: Frame): Promise<void> {
    this.#underWay += 1;
    const { status, text } = await this.#answer(frame);
    this.#underWay -= 1;
    if (this.#socket.writable) this.#socket.write(encodeFrame(frame.id, status, text));
    this.#flow();
    this.#closeWhenDone();
  }

  /** Reads on while there are not too many calls under way and the client takes its answers. */
  #flow(): void {
    if (this.#draining) return;
    if (this.#underWay >= MAX_UNDER_WAY || this.#socket.writableNeedDrain) this.#socket.pause();
    else if (this.#socket.isPaused()) this.#socket.resume();
  }

  /** Each frame has a time of its own, however many came before it. */
  #watchFrame(begunAnew: boolean): void {
    if (this.#frameTimer && (begunAnew || !this.#reader.halfway)) {
      clearTimeout(this.#frameTimer);
      this.#frameTimer = undefined;
    }
    if (this.#reader.halfway) this.#frameTimer ??= setTimeout(() => this.#socket.destroy(), this.#times.frameMs);
  }

  #closeWhenDone(): void {
    if (!this.#draining || this.#underWay > 0 || this.#socket.destroyed) return;
    // Both ways: a client that keeps its half open is not waited for.
    this.#socket.end(() => this.#socket.destroy());
  }
}
