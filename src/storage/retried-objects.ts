import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type ErrorCode, MillraceError } from "../core/errors.js";
import { addressOf, keyIn, type ObjectPlace } from "../core/options/object-place.js";
import type { Attempt, Failure, FailureReason, Fetched, ObjectClient } from "./object-client.js";
import type { ObjectStore, TransferOptions } from "./object-store.js";

/** As the vendors' SDKs do by default: a passing fault is over by then, and one that stays is told soon. */
const ATTEMPTS = 3;
/** Before the second attempt; the third waits four times as long. Half of it is left to chance, so that many do not come back at once. */
const FIRST_PAUSE_MS = 100;
const PAUSE_GROWTH = 4;
/** Time with not a byte moved, as the slowest of large stores answer within seconds. */
const DEFAULT_TIMEOUT_MS = 30_000;

/** A second try may go better. */
const PASSING: readonly FailureReason[] = ["timeout", "unreachable", "busy", "cut", "changed"];

type Verb = "written to" | "read from" | "looked up in";

/**
 * A vendor's client as an object store: every call is tried again where that helps, is given up when nothing moves, checks
 * what came against its hash, and fails with one error in our words.
 *
 * A write whose answer was lost is sent again: with `ifAbsent` it may then find its own object and resolve with false.
 */
export function objectStore(place: ObjectPlace, open: () => Promise<ObjectClient>): ObjectStore {
  let opening: Promise<ObjectClient> | undefined;
  const client = () => {
    opening ??= open();
    // A package that was missing may be there at the next try.
    opening.catch(() => {
      opening = undefined;
    });
    return opening;
  };
  const attempts = async <T>(verb: Verb, key: string, options: TransferOptions, once: Once<T>) =>
    tryAgain(await client(), { place, verb, key, options }, once);

  return {
    address: addressOf(place),
    async put(key, bytes, { ifAbsent = false, metadata = {}, ...options } = {}) {
      const sha256 = createHash("sha256").update(bytes).digest("hex");
      const kept = { sha256, metadata: { ...metadata, sha256 } };
      return attempts("written to", key, options, async (to, attempt) => {
        try {
          await to.put(keyIn(place, key), bytes, { ...attempt, ...kept, ifAbsent });
          return true;
        } catch (error) {
          const { reason } = to.explain(error);
          if (ifAbsent && reason === "exists") return false;
          if (!ifAbsent || reason !== "no conditions") throw error;
          // The server knows no conditions: nothing can be promised between the look and the write.
          if ((await sizeOf(to, keyIn(place, key), attempt)) !== undefined) return false;
          await to.put(keyIn(place, key), bytes, { ...attempt, ...kept, ifAbsent: false });
          return true;
        }
      });
    },
    async get(key, options = {}) {
      return attempts("read from", key, options, async (from, attempt) => {
        const fetched = await unlessMissing(from, from.get(keyIn(place, key), attempt));
        if (fetched) checkBytes(fetched);
        return fetched?.bytes;
      });
    },
    async head(key) {
      return attempts("looked up in", key, {}, async (from, attempt) => {
        const sizeBytes = await sizeOf(from, keyIn(place, key), attempt);
        return sizeBytes === undefined ? undefined : { sizeBytes };
      });
    },
    async close() {
      const closing = opening;
      opening = undefined;
      await closing?.then(
        (each) => each.close(),
        () => {},
      );
    },
  };
}

function sizeOf(client: ObjectClient, key: string, attempt: Attempt): Promise<number | undefined> {
  return unlessMissing(client, client.head(key, attempt));
}

async function unlessMissing<T>(client: ObjectClient, asking: Promise<T>): Promise<T | undefined> {
  try {
    return await asking;
  } catch (error) {
    if (client.explain(error).reason === "no object") return undefined;
    throw error;
  }
}

type Once<T> = (client: ObjectClient, attempt: Attempt) => Promise<T>;

interface Call {
  place: ObjectPlace;
  verb: Verb;
  key: string;
  options: TransferOptions;
}

async function tryAgain<T>(client: ObjectClient, call: Call, once: Once<T>): Promise<T> {
  const { signal } = call.options;
  for (let tried = 1; ; tried += 1) {
    signal?.throwIfAborted();
    const watch = watchFor(call);
    try {
      return await raced(once(client, { signal: watch.signal, moved: watch.moved }), watch.signal);
    } catch (error) {
      signal?.throwIfAborted();
      const failure = watch.timedOut() ?? (error instanceof Changed ? error.failure : client.explain(error));
      if (tried === ATTEMPTS || !PASSING.includes(failure.reason)) throw failed(call, failure, tried, error);
      // Changed bytes are asked for again at once: nobody is overloaded.
      if (failure.reason !== "changed") await pause(tried, signal);
    } finally {
      watch.stop();
    }
  }
}

async function pause(tried: number, signal: AbortSignal | undefined): Promise<void> {
  const longest = FIRST_PAUSE_MS * PAUSE_GROWTH ** (tried - 1);
  await sleep(longest * (0.5 + Math.random() / 2), undefined, signal ? { signal } : {}).catch(() => {});
  signal?.throwIfAborted();
}

/** Some SDK calls cannot be called off: then at least nobody waits for them. */
async function raced<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  work.catch(() => {});
  let stop: () => void = () => {};
  const aborted = new Promise<never>((_, reject) => {
    stop = () => reject(signal.reason);
    signal.addEventListener("abort", stop);
  });
  try {
    return await Promise.race([work, aborted]);
  } finally {
    signal.removeEventListener("abort", stop);
  }
}

/** Gives an attempt up when nothing has moved for the place's time. */
function watchFor({ place, options: { signal, onProgress } }: Call) {
  const limitMs = place.timeoutMs ?? DEFAULT_TIMEOUT_MS;
  const controller = new AbortController();
  let failure: Failure | undefined;
  const timer = setTimeout(() => {
    failure = { reason: "timeout", text: `nothing moved for ${limitMs} ms` };
    controller.abort();
  }, limitMs);
  const abort = () => controller.abort(signal?.reason);
  signal?.addEventListener("abort", abort);
  return {
    signal: controller.signal,
    timedOut: () => failure,
    moved(doneBytes: number, totalBytes: number) {
      timer.refresh();
      onProgress?.(doneBytes, totalBytes);
    },
    stop() {
      clearTimeout(timer);
      signal?.removeEventListener("abort", abort);
    },
  };
}

class Changed extends Error {
  readonly failure: Failure;
  constructor(text: string) {
    super(text);
    this.failure = { reason: "changed", text };
  }
}

const names: Record<Fetched["hash"], string> = { sha256: "SHA-256", md5: "MD5" };

function checkBytes({ hash, found, expected }: Fetched): void {
  if (expected === undefined || found === expected) return;
  throw new Changed(`its ${names[hash]} is ${found}, and was ${expected} when it was written`);
}

const codes: Partial<Record<FailureReason, ErrorCode>> = {
  unauthorized: "STORAGE_UNAUTHORIZED",
  "no bucket": "STORAGE_NOT_FOUND",
  "wrong region": "STORAGE_WRONG_REGION",
  timeout: "STORAGE_TIMEOUT",
  unreachable: "STORAGE_UNREACHABLE",
  cut: "STORAGE_CORRUPT",
  changed: "STORAGE_CORRUPT",
};

const hints: Partial<Record<FailureReason, string>> = {
  unauthorized: "Check the credentials that the environment gives, and what they allow.",
  "no bucket": "Check the name, or make it: Millrace makes no buckets.",
  "wrong region": "Set `region` to the bucket's own.",
  timeout: "Check the endpoint and the network, or raise `timeoutMs`.",
  unreachable: "Check the endpoint and the network.",
  busy: "Try again later.",
  cut: "Try again; when it stays so, look at what stands between this machine and the storage.",
  changed: "The object, or its transfer, was damaged: write it again, or deploy the flow again.",
};

function failed({ place, verb, key }: Call, { reason, text, hint }: Failure, tried: number, cause: unknown) {
  const said = /[.!?]$/.test(text) ? text.slice(0, -1) : text;
  const times = tried === 1 ? "" : ` (${tried} attempts)`;
  const advice = hint ?? hints[reason];
  return new MillraceError(
    codes[reason] ?? "STORAGE_FAILED",
    `"${keyIn(place, key)}" cannot be ${verb} ${addressOf(place)}: ${said}${times}.`,
    { cause, ...(advice === undefined ? {} : { hint: advice }), details: { reason } },
  );
}
