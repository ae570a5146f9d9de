import t from "tap";
import * as v from "valibot";
import { z } from "zod";
import { taskContext } from "../../src/core/context.js";
import { MillraceError } from "../../src/core/errors.js";
import { toFlowSpec } from "../../src/core/flow-spec.js";
import { cacheValidators } from "../../src/core/options/cache-validator.js";
import { unmapped } from "../../src/core/reference.js";
import { secret } from "../../src/core/secret.js";
import type { State } from "../../src/core/state.js";
import { task } from "../../src/core/task.js";
import type { CacheIndex, SecretSource } from "../../src/engine/ports.js";
import { define, finish, knownAfter, MemoryResults } from "./bed.js";

/** Counts what is read; the names that it does not know are not there. */
function source(values: Record<string, unknown>): SecretSource & { reads: string[] } {
  const reads: string[] = [];
  return {
    reads,
    async read(name) {
      reads.push(name);
      if (Object.hasOwn(values, name)) return values[name];
      throw new MillraceError("SECRET_NOT_FOUND", `There is no secret "${name}".`);
    },
  };
}

const upper = task("upper", (text: string) => text.toUpperCase());
const length = task("length", (text: string) => text.length);
const VALUE = 's3cr3t-välue"1';

t.test("a secret is read when the task that takes it starts, once in a run", async (t) => {
  const secrets = source({ TOKEN: VALUE });
  const readsBefore: number[] = [];
  const wait = task("wait", () => void readsBefore.push(secrets.reads.length));
  const { end, recorder, results } = await finish(
    () => {
      const waited = wait();
      return [length(secret<string>("TOKEN")).after(waited), length(secret<string>("TOKEN")).after(waited)];
    },
    { secrets },
  );
  t.same(end.output, [VALUE.length, VALUE.length]);
  t.same(secrets.reads, ["TOKEN"]);
  t.same(readsBefore, [0], "not before it is needed");
  t.match(
    recorder.of("TOKEN-1").map((each) => each.state),
    [{ type: "Success", result: { type: "SecretResult", location: "TOKEN" } }],
  );
  t.notOk([...results.values.values()].includes(VALUE), "nothing is stored");
  t.equal(end.taskRuns.find((each) => each.taskSlug === "TOKEN-1")?.value, undefined, "nor told");
});

t.test("the value is in no state and no log line, whatever the task does with it", async (t) => {
  const leak = task("leak", { retries: 1 }, (text: string, key: { inner: string[] }): void => {
    const { logger } = taskContext();
    logger.info("calling with", text, { key });
    logger.warn(`https://example.org/?token=${encodeURIComponent(text)}`);
    logger.error(JSON.stringify({ text }));
    throw Object.assign(new Error(`refused ${text} and ${key.inner[0]}`), { name: `Bad ${text}` });
  });
  const secrets = source({ TOKEN: VALUE, KEY: { inner: ["deep-inside", "abc"], count: 123456 } });
  const { end, recorder } = await finish(() => leak(secret<string>("TOKEN"), secret<{ inner: string[] }>("KEY")), {
    secrets,
  });
  const told = JSON.stringify([recorder.reports, recorder.logs, end]);
  for (const part of ["s3cr3t", "lue", "deep-inside", "123456"]) t.notOk(told.includes(part), part);
  t.match(recorder.of("leak-1").at(-1)?.state, {
    type: "Failed",
    message: "Error during execution of task: Bad ***: refused *** and ***",
    context: { error: { message: "refused *** and ***", stack: /refused \*\*\*/ } },
  });
  t.match(recorder.logs[0]?.message, "calling with *** { key: { inner: [ '***', 'abc' ], count: *** } }");
  t.match(recorder.logs[1]?.message, "https://example.org/?token=***");
  t.match(recorder.logs[2]?.message, '{"text":"***"}');
});

t.test("texts of less than four characters stay, and lines of a key are taken out one by one", async (t) => {
  const key = "-----BEGIN KEY-----\nMIIEvgIBADAN\nab\n-----END KEY-----";
  const say = task("say", (short: string, long: string) => {
    taskContext().logger.info(short, long.split("\n")[1], "ab");
  });
  const { recorder } = await finish(() => say(secret<string>("SHORT"), secret<string>("KEY")), {
    secrets: source({ SHORT: "abc", KEY: key }),
  });
  t.equal(recorder.logs[0]?.message, "abc *** ab");
});

t.test("what a task returns is its own affair", async (t) => {
  const { end, results } = await finish(() => upper(secret<string>("TOKEN")), { secrets: source({ TOKEN: "abcdef" }) });
  t.equal(end.output, "ABCDEF");
  t.ok([...results.values.values()].includes("ABCDEF"));
});

t.test("a resumed run reads the secret again, and only where a task that is left takes it", async (t) => {
  const flow = define(() => {
    const token = secret<string>("TOKEN");
    return [upper(token), length(token), secret("OTHER")];
  });
  const first = await finish(flow, { secrets: source({ TOKEN: "one-value", OTHER: 1 }) });
  const taskRuns = knownAfter(first.recorder.reports.filter((each) => each.taskSlug !== "length-1"));
  const secrets = source({ TOKEN: "new-value-", OTHER: 1 });
  const second = await finish(flow, { secrets, taskRuns, results: first.results });
  t.equal(second.end.state.type, "Success");
  t.same(second.recorder.of("TOKEN-1"), [], "its task run is finished");
  t.same(second.end.output, ["ONE-VALUE", 10, 1]);
  t.same(secrets.reads, ["TOKEN", "OTHER"]);
});

t.test("children of a mapped task share one reading, and a secret that is a list can be mapped over", async (t) => {
  const secrets = source({ TOKEN: "abcd", HOSTS: ["host-a", "host-b"] });
  const join = task("join", (host: string, token: string) => `${host}:${token}`);
  const { end } = await finish(() => join.map(secret<string[]>("HOSTS"), unmapped(secret<string>("TOKEN"))), {
    secrets,
  });
  t.same(end.output, ["host-a:abcd", "host-b:abcd"]);
  t.same(secrets.reads.sort(), ["HOSTS", "TOKEN"]);
});

t.test("neither the name nor the place of a result can be made of a secret", async (t) => {
  const secrets = source({ TOKEN: "abcdef", LIST: ["list-item"] });
  const named = upper.with({ taskRunName: (names) => `run ${JSON.stringify(names.inputs)}` });
  const { recorder } = await finish(() => [named(secret<string>("TOKEN")), named.map(secret<string[]>("LIST"))], {
    secrets,
  });
  const told = JSON.stringify(recorder.reports);
  t.match(told, "TOKEN");
  for (const value of ["abcdef", "list-item"]) t.notOk(told.includes(value), value);
  const placed = upper.with({ target: "{inputs.0}.json" });
  const end = await finish(() => placed(secret<string>("TOKEN")), { secrets });
  t.match(end.recorder.of("upper-1").at(-1)?.state, {
    type: "Failed",
    message: /names "inputs\.0", which is no text/,
  });
});

t.test("a cache looks at the other arguments alone", async (t) => {
  const both = task(
    "both",
    { cacheForMs: 60_000, cacheValidator: cacheValidators.allInputs },
    (token: string, n: number) => [token.length, n],
  );
  const flow = define(() => both(secret<string>("TOKEN"), 3));
  const cached: State[] = [];
  const caches: CacheIndex = { candidates: async () => [...cached], add: (_, state) => void cached.push(state) };
  const results = new MemoryResults();
  const first = await finish(flow, { secrets: source({ TOKEN: "abcdef" }), ports: { caches }, results });
  t.same(first.end.output, [6, 3]);
  t.same(Object.keys(cached[0]?.inputHashes ?? {}), ["1"]);
  t.notMatch(JSON.stringify(cached), /abcdef/);
  const second = await finish(flow, { secrets: source({ TOKEN: "a new value" }), ports: { caches }, results });
  t.same(second.end.output, [6, 3], "a new value of the secret is no new input");
});

t.test("a secret that is not there fails the task that takes it, with the code", async (t) => {
  const { end, recorder } = await finish(() => [upper(secret<string>("NONE")), length("x")], { secrets: source({}) });
  t.match(recorder.of("upper-1").at(-1)?.state, {
    type: "Failed",
    message: /There is no secret "NONE"/,
    context: { error: { code: "SECRET_NOT_FOUND" } },
  });
  t.equal(recorder.of("length-1").at(-1)?.state.type, "Success");
  t.equal(end.state.type, "Failed");
});

t.test("a schema converts the value, and its refusal tells no word of it", async (t) => {
  const secrets = source({ PIN: 12345, BAD: "not-a-number", DEEP: { user: "u", pass: 1234 } });
  const good = await finish(() => upper(secret("PIN", { schema: z.coerce.string() })), { secrets });
  t.equal(good.end.output, "12345");
  const twice = task("twice", (n: number) => n * 2);
  const bad = await finish(() => twice(secret("BAD", { schema: v.number() })), { secrets });
  const state = bad.recorder.of("twice-1").at(-1)?.state;
  t.match(state, { type: "Failed", context: { error: { code: "SECRET_INVALID" } } });
  t.notMatch(JSON.stringify(state), /not-a-number/);
  t.match(state?.message, /The secret "BAD" was refused by its schema/);
  const deep = await finish(
    () => task("use", (_: object) => 1)(secret("DEEP", { schema: z.object({ user: z.string(), pass: z.string() }) })),
    { secrets },
  );
  t.match(deep.recorder.of("use-1").at(-1)?.state.message, /refused by its schema at pass/);
});

t.test("taskContext().secret() reads what the flow declares, and nothing else", async (t) => {
  const secrets = source({ TOKEN: "abcdef", OTHER: "ghijkl" });
  const read = task("read", async (name: string) => {
    const value = await taskContext().secret(name);
    taskContext().logger.info(`it is ${value}`);
    return String(value).length;
  });
  const { end, recorder } = await finish(
    () => {
      secret("TOKEN");
      return [read("TOKEN"), read("OTHER")];
    },
    { secrets },
  );
  t.equal(end.state.type, "Failed");
  t.equal(recorder.of("read-1").at(-1)?.state.type, "Success");
  t.equal(recorder.logs[0]?.message, "it is ***");
  t.match(recorder.of("read-2").at(-1)?.state.context, {
    error: { code: "SECRET_NOT_DECLARED", hint: /secret\("OTHER"\).*"TOKEN"/ },
  });
  t.same(secrets.reads, ["TOKEN"]);
  const none = await finish(() => read("TOKEN"), { secrets });
  t.match(none.recorder.of("read-1").at(-1)?.state.context, { error: { code: "SECRET_NOT_DECLARED", hint: /none/ } });
});

t.test("the spec lists what the flow declares", async (t) => {
  const spec = toFlowSpec(define(() => [upper(secret<string>("B")), secret("A"), secret("B")]));
  t.same(spec.secrets.sort(), ["A", "B"]);
  t.match(
    spec.tasks.find((each) => each.name === "A"),
    { kind: "secret", slug: "A-1" },
  );
});

t.test("a secret is declared while building, with a name and one schema", async (t) => {
  t.throws(() => secret("TOKEN"), { code: "TASK_CALLED_OUTSIDE_FLOW" });
  t.throws(() => define(() => secret(" ")), { code: "FLOW_INVALID_NAME", message: /A secret of flow "test"/ });
  const twoSchemas = () => [secret("A", { schema: z.string() }), secret("A", { schema: z.string() })];
  t.throws(() => define(twoSchemas), { code: "TASK_OPTIONS_INVALID", message: /gives the secret "A" two schemas/ });
  t.throws(() => define(() => secret("A", { schema: {} as never })), {
    code: "TASK_OPTIONS_INVALID",
    message: /Secret "A": `schema` must be a schema that follows Standard Schema/,
  });
  t.throws(
    () =>
      define(() => {
        void taskContext().secret("A");
      }),
    { code: "CONTEXT_MISSING" },
    "nothing can be read while building",
  );
});
