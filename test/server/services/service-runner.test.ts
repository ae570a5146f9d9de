import t from "tap";
import type { ServerParts } from "../../../src/server/parts.js";
import { type Round, type Service, ServiceRunner } from "../../../src/server/services/service-runner.js";
import { HandClock, startTestCloud } from "../../helpers/server.js";
import { HOUR, MINUTE, SECOND } from "./bed.js";

const cloud = await startTestCloud(t);

/** The runner alone, over a real database and under a clock of the test's own. */
function runnerOf(services: Service[], clock = new HandClock()) {
  const log: { message: string; error?: unknown }[] = [];
  const parts = { database: cloud.server.database, clock, log: (line: never) => log.push(line) };
  return { clock, log, runner: new ServiceRunner(parts as unknown as ServerParts, services, SECOND) };
}

function counting(name: string, facts: Partial<Service> = {}) {
  const rounds: Round[] = [];
  const service: Service = {
    name,
    periodMs: MINUTE,
    servers: "each",
    tick: async (_, round) => {
      rounds.push(round);
    },
    ...facts,
  };
  return { service, rounds };
}

t.test("each service runs at once, and then in its own period", async (t) => {
  const [often, seldom] = [counting("often", { periodMs: 10 * SECOND }), counting("seldom")];
  const { clock, runner } = runnerOf([often.service, seldom.service]);
  await runner.tick();
  t.strictSame([often.rounds.length, seldom.rounds.length], [1, 1]);
  for (let second = 1; second <= 60; second++) {
    clock.forward(SECOND);
    await runner.tick();
    if (second === 9) t.equal(often.rounds.length, 1, "not early");
    if (second === 10) t.equal(often.rounds.length, 2);
    if (second === 59) t.equal(seldom.rounds.length, 1);
  }
  t.strictSame([often.rounds.length, seldom.rounds.length], [7, 2]);
});

t.test("a service that fails is logged by name, holds up no other, and is tried again", async (t) => {
  let fails = true;
  const broken = counting("broken", {
    tick: async () => {
      if (fails) throw new Error("no luck");
    },
  });
  const other = counting("other");
  const { clock, log, runner } = runnerOf([broken.service, other.service]);
  await runner.tick();
  t.equal(other.rounds.length, 1);
  t.match(log, [
    { message: 'The service "broken" failed; it goes on in its next round.', error: { message: "no luck" } },
  ]);
  t.match(runner.statuses[0], { name: "broken", lastError: "no luck", lastRoundAt: "2026-11-23T10:00:00.000Z" });
  fails = false;
  clock.forward(MINUTE);
  await runner.tick();
  t.match(runner.statuses[0], { lastError: null });
  t.equal(log.length, 1);
});

t.test("rounds of a service never overlap, however often they are asked for", async (t) => {
  let [atOnce, most, rounds] = [0, 0, 0];
  const slow = counting("slow", {
    periodMs: 0,
    tick: async () => {
      atOnce += 1;
      most = Math.max(most, atOnce);
      await new Promise((resolve) => setImmediate(resolve));
      atOnce -= 1;
      rounds += 1;
    },
  });
  const { runner } = runnerOf([slow.service]);
  await Promise.all([runner.tick(), runner.tick(), runner.tick()]);
  await runner.stop();
  t.strictSame([most, rounds], [1, 3]);
});

t.test("a clock that is put back or forward by an hour stops no service, and is told to it", async (t) => {
  const each = counting("each");
  const { clock, runner } = runnerOf([each.service]);
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= SECOND) {
      clock.forward(SECOND);
      await runner.tick();
    }
  };
  await runner.tick();
  const startedAt = clock.now();
  await pass(MINUTE);
  t.match(each.rounds[1], { awakeSinceMs: startedAt, mayBeBehind: false });
  clock.step(-HOUR);
  await pass(MINUTE);
  t.equal(each.rounds.length, 3, "a minute is a minute");
  t.match(each.rounds[2], { awakeSinceMs: startedAt + MINUTE - HOUR + SECOND, mayBeBehind: true });
  await pass(MINUTE);
  t.match(each.rounds[3], { mayBeBehind: false }, "once");
  const before = clock.now();
  clock.step(HOUR);
  await pass(MINUTE);
  t.equal(each.rounds.length, 5);
  t.match(each.rounds[4], { awakeSinceMs: before + HOUR + SECOND, mayBeBehind: false });
});

t.test("a machine that slept is awake since it woke", async (t) => {
  const each = counting("each", { periodMs: 0 });
  const { clock, runner } = runnerOf([each.service]);
  const startedAt = clock.now();
  clock.forward(5 * SECOND);
  await runner.tick();
  t.equal(each.rounds.at(-1)?.awakeSinceMs, startedAt, "five rounds may be missed");
  clock.forward(5 * SECOND + 1);
  await runner.tick();
  t.equal(each.rounds.at(-1)?.awakeSinceMs, clock.now());
});

t.test("several servers of one database do a round once a period, and know when it was done", async (t) => {
  const clock = new HandClock();
  const [first, second] = [counting("once only", { servers: "once" }), counting("once only", { servers: "once" })];
  const [a, b] = [runnerOf([first.service], clock).runner, runnerOf([second.service], clock).runner];
  await Promise.all([a.tick(), b.tick()]);
  // A server's first round is done whatever others did, but never beside theirs.
  const before = first.rounds.length + second.rounds.length;
  for (let minute = 1; minute <= 10; minute++) {
    clock.forward(MINUTE);
    await Promise.all([a.tick(), b.tick()]);
  }
  t.equal(first.rounds.length + second.rounds.length - before, 10);
  t.match([...first.rounds, ...second.rounds].at(-1), { markMs: clock.now() - MINUTE });
});

t.test("a round that failed leaves no mark: it is done again, and what it was to do is known", async (t) => {
  let fails = false;
  const rounds: (number | null)[] = [];
  const service: Service = {
    name: "marked",
    periodMs: MINUTE,
    servers: "once",
    tick: async (_, { markMs }) => {
      rounds.push(markMs);
      if (fails) throw new Error("no luck");
    },
  };
  const { clock, runner } = runnerOf([service]);
  const startedAt = clock.now();
  await runner.tick();
  fails = true;
  clock.forward(MINUTE);
  await runner.tick();
  clock.forward(MINUTE);
  await runner.tick();
  t.strictSame(rounds, [null, startedAt, startedAt]);
});
