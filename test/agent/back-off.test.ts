import t from "tap";
import { awayWaitMs, pollWaitMs, Waker } from "../../src/agent/back-off.js";

t.test("polls that find nothing come further apart, up to ten seconds or what was asked for", async (t) => {
  t.same(
    [0, 1, 2, 3, 4, 5, 6, 7, 100].map((idle) => pollWaitMs(idle, 60_000)),
    [250, 500, 1_000, 2_000, 4_000, 8_000, 10_000, 10_000, 10_000],
  );
  t.equal(pollWaitMs(5, 700), 700);
});

t.test("waits for a Cloud that is away grow up to five seconds", async (t) => {
  t.same([0, 1, 2, 10].map(awayWaitMs), [100, 200, 400, 5_000]);
});

t.test("a wait is cut short by a wake, also by one that came before it, once", async (t) => {
  const waker = new Waker();
  const waiting = waker.wait(Number.POSITIVE_INFINITY);
  waker.wake();
  await waiting;
  waker.wake();
  await waker.wait(Number.POSITIVE_INFINITY);
  const from = performance.now();
  await waker.wait(20);
  t.ok(performance.now() - from >= 15);
});
