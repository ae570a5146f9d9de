import { AsyncLocalStorage } from "node:async_hooks";
import { StringDecoder } from "node:string_decoder";
import type { Logger } from "../../core/context.js";

/*
 * What a task prints goes to its run's log too. The global console writes by way of process.stdout and process.stderr, so
 * their `write` is what is listened to: whatever prints is heard, by whatever road. Nothing is touched until the first
 * task asks for it; from then on a write outside such a task costs one look at the async context.
 */

type Stream = "stdout" | "stderr";
type Write = (...args: unknown[]) => boolean;

/** Text without an end of line is held back, up to so many characters. */
const MAX_HELD_CHARS = 8_192;

const hearing = new AsyncLocalStorage<Prints | undefined>();
let installed = false;

/** Calls `run`; what it and all that it sets off print, until it settles, goes to the logger: stderr as warnings. */
export function hearPrints<T>(logger: Logger, run: () => T): T {
  install();
  const prints = new Prints(logger);
  let result: T;
  try {
    result = hearing.run(prints, run);
  } catch (error) {
    prints.end();
    throw error;
  }
  if (!(result instanceof Promise)) {
    prints.end();
    return result;
  }
  return result.finally(() => prints.end()) as T;
}

/** Runs what writes log lines: printed to the terminal, they must not come back as prints. */
export function unheard<T>(run: () => T): T {
  return installed && hearing.getStore() ? hearing.run(undefined, run) : run();
}

/** Others replace `write` too, and put the old one back, which takes ours away: so this looks each time. */
function install(): void {
  installed = true;
  for (const name of ["stdout", "stderr"] as const) {
    const stream = process[name];
    const write = stream.write as unknown as Write;
    if (ours.has(write)) continue;
    const heard: Write = (...args) => {
      const prints = hearing.getStore();
      if (!prints) return write.apply(stream, args);
      prints.hear(name, args[0], args[1]);
      // Below may be another of ours, under somebody else's.
      return hearing.run(undefined, () => write.apply(stream, args));
    };
    ours.add(heard);
    stream.write = heard as typeof stream.write;
  }
}

const ours = new WeakSet<Write>();

/** What one call of a task's function prints, line by line. */
class Prints {
  readonly #logger: Logger;
  readonly #held: Record<Stream, string> = { stdout: "", stderr: "" };
  readonly #decoders: Record<Stream, StringDecoder> = { stdout: new StringDecoder(), stderr: new StringDecoder() };
  #ended = false;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  hear(stream: Stream, chunk: unknown, encoding: unknown): void {
    if (this.#ended) return;
    this.#held[stream] += this.#textOf(stream, chunk, encoding);
    // One console.log of several lines is one entry of the log.
    if (this.#held[stream].endsWith("\n") || this.#held[stream].length > MAX_HELD_CHARS) this.#tell(stream);
  }

  end(): void {
    this.#tell("stdout");
    this.#tell("stderr");
    this.#ended = true;
  }

  #textOf(stream: Stream, chunk: unknown, encoding: unknown): string {
    if (chunk instanceof Uint8Array) return this.#decoders[stream].write(Buffer.from(chunk));
    if (typeof chunk !== "string") return "";
    return encoding === "hex" || encoding === "base64" ? Buffer.from(chunk, encoding).toString() : chunk;
  }

  #tell(stream: Stream): void {
    const text = this.#held[stream].replace(/\r?\n$/, "");
    this.#held[stream] = "";
    if (text === "") return;
    unheard(() => (stream === "stdout" ? this.#logger.info("%s", text) : this.#logger.warn("%s", text)));
  }
}
