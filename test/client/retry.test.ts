import t from "tap";
import { retryDelayMs, sleepUnlessAborted, withRetries } from "../../src/client/retry.js";

const never = new AbortController().signal;
const always = () => true;

t.test("the waits grow threefold up to five seconds, half of each random", async (t) => {
  const shortest = [1, 2, 3, 4, 5, 6, 7].map((tried) => retryDelayMs(tried, () => 0));
  const longest = [1, 2, 3, 4, 5, 6, 7].map((tried) => retryDelayMs(tried, () => 1));
  t.same(shortest, [25, 75, 225, 675, 2025, 2500, 2500]);
  t.same(longest, [50, 150, 450, 1350, 4050, 5000, 5000]);
});

t.test("an attempt that fails twice is made three times", async (t) => {
  let attempts = 0;
  const value = await withRetries(
    async () => {
      attempts += 1;
      if (attempts < 3) throw new Error("not yet");
      return "there";
    },
    { tries: 6, signal: never, mayRepeat: always },
  );
  t.equal(value, "there");
  t.equal(attempts, 3);
});

t.test("the last error is thrown once the tries are used up", async (t) => {
  let attempts = 0;
  const failing = withRetries(
    async () => {
      attempts += 1;
      throw new Error(`number ${attempts}`);
    },
    { tries: 3, signal: never, mayRepeat: always },
  );
  await t.rejects(failing, { message: "number 3" });
  t.equal(attempts, 3);
});

t.test("an error that may not be repeated is thrown at once", async (t) => {
  let attempts = 0;
  const failing = withRetries(
    async () => {
      attempts += 1;
      throw new Error("final");
    },
    { tries: 6, signal: never, mayRepeat: () => false },
  );
  await t.rejects(failing, { message: "final" });
  t.equal(attempts, 1);
});

t.test("a signal ends the waiting with the last error", async (t) => {
  const stop = new AbortController();
  const failing = withRetries(
    async () => {
      setImmediate(() => stop.abort());
      throw new Error("refused");
    },
    { tries: 1_000, signal: stop.signal, mayRepeat: always },
  );
  await t.rejects(failing, { message: "refused" });
});

t.test("a sleep under a signal that has fired is none", async (t) => {
  const begun = performance.now();
  await sleepUnlessAborted(60_000, AbortSignal.abort());
  t.ok(performance.now() - begun < 1_000);
});
