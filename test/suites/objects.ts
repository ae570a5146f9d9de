import { randomBytes } from "node:crypto";
import type { Test } from "tap";
import type { ObjectPlace } from "../../src/core/options/object-place.js";
import type { ObjectStore } from "../../src/storage/object-store.js";
import { openObjectStore } from "../../src/storage/open-objects.js";
import type { FaultProxy } from "../helpers/fault-proxy.js";

/** A server of one kind, with a bucket that is there, and what a test may turn wrong. */
export interface ObjectWorld {
  /** The bucket behind `url`; default: the server itself. */
  place(url?: string): ObjectPlace;
  /** Stands before the server. */
  readonly proxy: FaultProxy;
  /** What the environment gives to clients that are opened from now on. */
  credentials(which: "right" | "wrong"): void | Promise<void>;
  /** In another bucket, which does not exist. */
  elsewhere(): ObjectPlace;
}

/** Headers stay below it in both directions, and the bodies of the tests above. */
const IN_BODY_BYTES = 20_000;
const BODY_BYTES = 100_000;
/** Time for nothing to move. */
const SHORT_MS = 100;

/** What every kind of object storage does. Titles begin with `name`. */
export function objectSuite(t: Test, name: string, world: ObjectWorld): void {
  const opened: ObjectStore[] = [];
  const open = (place: ObjectPlace): ObjectStore => {
    const store = openObjectStore(place);
    opened.push(store);
    return store;
  };
  const closeAll = async () => {
    world.proxy.fault = undefined;
    world.proxy.met = 0;
    await world.credentials("right");
    await Promise.all(opened.splice(0).map((each) => each.close()));
  };
  const test = (title: string, run: (t: Test) => Promise<void>) =>
    t.test(`${name}: ${title}`, async (t) => {
      t.teardown(closeAll);
      await run(t);
    });
  const throughProxy = (timeoutMs = 5_000) => open({ ...world.place(world.proxy.url), timeoutMs });
  const aKey = () => `test/${randomBytes(8).toString("hex")}`;
  const aBody = () => randomBytes(BODY_BYTES);

  test("bytes of any number come back as they were, and the way is told", async (t) => {
    const store = open(world.place());
    for (const size of [0, 1, 70_000, 5_000_000]) {
      const bytes = randomBytes(size);
      const key = aKey();
      const sent: number[] = [];
      const came: number[] = [];
      t.equal(await store.put(key, bytes, { onProgress: (done) => sent.push(done) }), true);
      t.same(await store.head(key), { sizeBytes: size });
      const found = await store.get(key, { onProgress: (done) => came.push(done) });
      t.ok(found && bytes.equals(found), `${size} bytes`);
      if (size < 5_000_000) continue;
      for (const told of [sent, came]) {
        t.ok(told.length > 5, "now and then");
        t.same(
          told,
          told.toSorted((a, b) => a - b),
          "forwards",
        );
        t.equal(told.at(-1), size, "to the end");
      }
    }
  });

  test("keys may hold any letters", async (t) => {
    const store = open({ ...world.place(), prefix: "/a b/ü/" });
    const key = `${aKey()}/日本 & more+plus=100%`;
    await store.put(key, Buffer.from("x"));
    t.equal(String(await store.get(key)), "x");
    const without = open(world.place());
    t.equal(String(await without.get(`a b/ü/${key}`)), "x", "the prefix stands before the key");
  });

  test("what is there is left as it is when that is asked, and replaced when not", async (t) => {
    const store = open(world.place());
    const key = aKey();
    t.equal(await store.put(key, Buffer.from("one"), { ifAbsent: true }), true);
    t.equal(await store.put(key, Buffer.from("two"), { ifAbsent: true }), false);
    t.equal(String(await store.get(key)), "one");
    t.equal(await store.put(key, Buffer.from("three")), true);
    t.equal(String(await store.get(key)), "three");
  });

  test("of many writers at once one wins, and its bytes are there", async (t) => {
    const store = open(world.place());
    const key = aKey();
    const bodies = Array.from({ length: 10 }, aBody);
    const won = await Promise.all(bodies.map((bytes) => store.put(key, bytes, { ifAbsent: true })));
    t.equal(won.filter(Boolean).length, 1);
    t.ok(bodies[won.indexOf(true)]!.equals((await store.get(key))!));
  });

  test("an object that is not there is no error", async (t) => {
    const store = open(world.place());
    t.equal(await store.get(aKey()), undefined);
    t.equal(await store.head(aKey()), undefined);
  });

  test("a bucket that does not exist is told as such", async (t) => {
    const store = open(world.elsewhere());
    const error = { code: "STORAGE_NOT_FOUND", message: /cannot be .*"?no-such-place/, hint: /makes no buckets/ };
    await t.rejects(store.put(aKey(), aBody()), error);
    await t.rejects(store.put(aKey(), aBody(), { ifAbsent: true }), error);
    await t.rejects(store.get(aKey()), error);
    await t.rejects(store.head(aKey()), error);
  });

  test("wrong credentials are told as such, and not tried again", async (t) => {
    await world.credentials("wrong");
    const store = open(world.place());
    const error = { code: "STORAGE_UNAUTHORIZED", message: /^((?!attempts).)*$/, hint: /[Cc]redentials/ };
    await t.rejects(store.put(aKey(), aBody()), error);
    await t.rejects(store.get(aKey()), error);
    await t.rejects(store.head(aKey()), error);
  });

  test("an endpoint where nobody listens is named", async (t) => {
    const store = open(world.place("http://127.0.0.1:9"));
    await t.rejects(store.get(aKey()), {
      code: "STORAGE_UNREACHABLE",
      message: /http:\/\/127\.0\.0\.1:9.*ECONNREFUSED.* \(3 attempts\)/,
    });
  });

  test("a server that does not answer is given up, and asked three times", async (t) => {
    const store = throughProxy(SHORT_MS);
    const error = { code: "STORAGE_TIMEOUT", message: /nothing moved for 100 ms \(3 attempts\)/, hint: /timeoutMs/ };
    world.proxy.fault = { kind: "hang", direction: "up" };
    await t.rejects(store.get(aKey()), error);
    await t.rejects(store.head(aKey()), error);
    await t.rejects(store.put(aKey(), aBody()), error);
  });

  for (const [kind, why] of [
    ["cut", /20000 bytes|bytes came/],
    ["flip", /SHA-256|MD5/],
    ["hang", /nothing moved/],
  ] as const) {
    test(`a download that meets a ${kind} is asked for again, and refused when it stays so`, async (t) => {
      const key = aKey();
      const bytes = aBody();
      await open(world.place()).put(key, bytes);
      const store = throughProxy(kind === "hang" ? SHORT_MS : undefined);
      world.proxy.fault = { kind, direction: "down", after: IN_BODY_BYTES, times: 2 };
      t.ok(bytes.equals((await store.get(key))!));
      t.equal(world.proxy.met, 2);
      world.proxy.fault = { kind, direction: "down", after: IN_BODY_BYTES };
      const code = kind === "hang" ? "STORAGE_TIMEOUT" : "STORAGE_CORRUPT";
      await t.rejects(store.get(key), { code, message: why });
    });

    test(`an upload that meets a ${kind} is sent again, and nothing of it is seen when it stays so`, async (t) => {
      const direct = open(world.place());
      const store = throughProxy(kind === "hang" ? SHORT_MS : undefined);
      const key = aKey();
      const bytes = aBody();
      world.proxy.fault = { kind, direction: "up", after: IN_BODY_BYTES, times: 2 };
      t.equal(await store.put(key, bytes, { ifAbsent: true }), true);
      t.equal(world.proxy.met, 2);
      t.ok(bytes.equals((await direct.get(key))!));
      world.proxy.fault = { kind, direction: "up", after: IN_BODY_BYTES };
      const never = aKey();
      const codes = { cut: "STORAGE_UNREACHABLE", flip: "STORAGE_CORRUPT", hang: "STORAGE_TIMEOUT" };
      await t.rejects(store.put(never, bytes), { code: codes[kind] });
      t.equal(await direct.get(never), undefined);
    });
  }

  test("a write whose answer was lost is there, and says that it was", async (t) => {
    const store = throughProxy();
    const key = aKey();
    const bytes = aBody();
    world.proxy.fault = { kind: "cut", direction: "down", times: 1 };
    t.equal(await store.put(key, bytes, { ifAbsent: true }), false);
    t.ok(bytes.equals((await store.get(key))!));
  });

  test("a signal ends a transfer at once, with its reason", async (t) => {
    const store = throughProxy();
    world.proxy.fault = { kind: "hang", direction: "up" };
    for (const begin of [
      async (signal: AbortSignal): Promise<unknown> => store.get(aKey(), { signal }),
      (signal: AbortSignal) => store.put(aKey(), aBody(), { signal }),
    ]) {
      const controller = new AbortController();
      const transfer = begin(controller.signal);
      const reason = new Error("no longer wanted");
      setTimeout(() => controller.abort(reason), 20);
      const startedAt = performance.now();
      await t.rejects(transfer, reason);
      t.ok(performance.now() - startedAt < 1_000);
      await t.rejects(begin(AbortSignal.abort(reason)), reason, "and none begins after it");
    }
  });

  test("a place is opened once", async (t) => {
    const store = open(world.place());
    t.equal(openObjectStore({ ...world.place() }), store);
    await store.close();
    const again = open(world.place());
    t.not(again, store);
    t.equal(await again.head(aKey()), undefined);
  });
}
