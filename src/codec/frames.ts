/*
 * Calls and answers on a connection that stays open. A frame is a head of ten bytes, length of the body (4), number of the call
 * (4) and status (2, zero in a call), all big-endian, and the body: the JSON text that an HTTP request or answer would carry.
 */

/** What both sides name in the `Upgrade` header. A frame of another shape gets another number. */
export const FRAME_PROTOCOL = "millrace-frames-1";
/** Where the connection is asked for, below the API's own path. */
export const FRAME_PATH = "connection";

const HEAD_BYTES = 10;

/** One call, or one answer under its call's number. */
export interface Frame {
  readonly id: number;
  /** As HTTP's; 0 in a call. */
  readonly status: number;
  readonly length: number;
  /** Undefined: it was longer than the reader takes, and was passed over. */
  readonly body: string | undefined;
}

/** Head and body in one piece, so that they are written at once. */
export function encodeFrame(id: number, status: number, body: string): Buffer {
  const length = Buffer.byteLength(body);
  const bytes = Buffer.allocUnsafe(HEAD_BYTES + length);
  bytes.writeUInt32BE(length, 0);
  bytes.writeUInt32BE(id, 4);
  bytes.writeUInt16BE(status, 8);
  bytes.write(body, HEAD_BYTES, "utf8");
  return bytes;
}

export interface FrameLimits {
  /** A longer body is passed over, and its frame has none. */
  readonly maxBytes: number;
  /** A frame that announces more ends the connection. */
  readonly maxPassedOver: number;
}

/** A frame too long to be listened to. */
class FrameTooLong extends Error {
  constructor(length: number, limit: number) {
    super(`a frame of ${length} bytes was announced, and ${limit} is the most that is read`);
  }
}

/** Cuts a stream of bytes into frames. It holds no more than the part of one body that has come. */
export class FrameReader {
  readonly #limits: FrameLimits;
  readonly #head = Buffer.alloc(HEAD_BYTES);
  /** How much of the head has come; all of it while a body comes. */
  #filled = 0;
  #missing = 0;
  #parts: Buffer[] = [];

  constructor(limits: FrameLimits) {
    this.#limits = limits;
  }

  /** Has a frame begun that is not whole yet? */
  get halfway(): boolean {
    return this.#filled > 0;
  }

  /** Calls `take` for each frame that is whole by now, in order. @throws FrameTooLong, after which there is no going on */
  push(chunk: Buffer, take: (frame: Frame) => void): void {
    let at = 0;
    while (at < chunk.length) {
      if (this.#filled < HEAD_BYTES) {
        const copied = chunk.copy(this.#head, this.#filled, at, at + HEAD_BYTES - this.#filled);
        this.#filled += copied;
        at += copied;
        if (this.#filled < HEAD_BYTES) return;
        this.#missing = this.#length();
      }
      const end = Math.min(at + this.#missing, chunk.length);
      if (end > at && this.#length() <= this.#limits.maxBytes) this.#parts.push(chunk.subarray(at, end));
      this.#missing -= end - at;
      at = end;
      if (this.#missing === 0) take(this.#whole());
    }
  }

  #length(): number {
    const length = this.#head.readUInt32BE(0);
    if (length > this.#limits.maxPassedOver) throw new FrameTooLong(length, this.#limits.maxPassedOver);
    return length;
  }

  #whole(): Frame {
    const length = this.#length();
    const parts = this.#parts;
    this.#parts = [];
    this.#filled = 0;
    const bytes = parts.length === 1 ? parts[0]! : Buffer.concat(parts);
    const body = length > this.#limits.maxBytes ? undefined : bytes.toString("utf8");
    return { id: this.#head.readUInt32BE(4), status: this.#head.readUInt16BE(8), length, body };
  }
}
