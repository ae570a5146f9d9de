import { buildSchema, graphql } from "graphql";
import t from "tap";
import { isMillraceError, type MillraceError } from "../../src/core/errors.js";
import { addReadApi } from "../../src/server/read/read-schema.js";
import { openReadWorld, tenantRows, uuid } from "../helpers/read-world.js";

const limits = { defaultRows: 5, maxRows: 20, maxRowsRead: 60, maxCost: 3000 };
const world = await openReadWorld(t.testdir(), limits);
t.after(() => world.close());

async function refusal(query: string, variables?: Record<string, unknown>): Promise<MillraceError> {
  const { errors } = await world.ask(query, variables);
  const error = errors?.[0]?.originalError;
  if (!isMillraceError(error, "INPUT_INVALID"))
    throw new Error(`not refused: ${query.slice(0, 200)}`, { cause: errors });
  return error;
}

t.test("a list without a limit is cut at the default, and an inner one at the highest limit", async (t) => {
  const { data } = await world.ask(`{ task_run { id } flow_run_by_pk(id: "${uuid(8, 1, 0)}") { task_runs { id } } }`);
  t.equal((data!.task_run as unknown[]).length, 5);
  t.equal((data!.flow_run_by_pk as { task_runs: unknown[] }).task_runs.length, 4);
});

t.test("a limit or offset out of range is refused", async (t) => {
  t.match(await refusal("{ flow_run(limit: 21) { id } }"), {
    message: /"flow_run" cannot be answered: its limit is 21, and a limit is 0 to 20/,
  });
  t.match(await refusal("{ flow_run(limit: -1) { id } }"), { message: /limit is -1/ });
  t.match(await refusal("{ flow_run(offset: -1) { id } }"), { message: /offset is -1/ });
  t.match(await refusal("{ flow_run { task_runs(limit: 21) { id } } }"), { message: /"task_run".*limit is 21/ });
  t.match(await refusal("{ flow_run_aggregate(limit: 21) { aggregate { count } } }"), { message: /limit is 21/ });
});

t.test("a query that is too deep is refused, by fragments too", async (t) => {
  const nest = (levels: number) => `${"flow { flow_runs { ".repeat(levels)} id ${"} }".repeat(levels)}`;
  t.match(
    await refusal(
      `{ flow_run(limit: 1) { flow { flow_runs { flow { flow_runs { flow { flow_runs { flow { id } } } } } } } } }`,
    ),
    {
      message: "The query is more than 7 levels deep.",
    },
  );
  t.match(await refusal(`{ flow_run(limit: 1) { ...f } } fragment f on flow_run { ${nest(4)} }`), { message: /deep/ });
  t.match(
    await refusal(
      `{ flow_run(limit: 1) { ${nest(2)} flow { flow_runs { flow { flow_runs { flow { flow_runs_aggregate { aggregate { count } } } } } } } } }`,
    ),
    {
      message: /deep/,
    },
  );
  t.equal((await world.ask(`{ flow_run(limit: 1) { ${nest(3)} } }`)).errors, undefined, "seven levels are allowed");
});

t.test("a query that may read too much is refused before it reads, all its roots together", async (t) => {
  t.match(await refusal("{ flow_run(limit: 20) { task_runs(limit: 20) { states(limit: 20) { state } } } }"), {
    message: "The query may read more than 3000 rows.",
    hint: /smaller limits/,
  });
  t.equal(world.statements(), 0);
  const roots = Array.from({ length: 200 }, (_, n) => `r${n}: flow_run(limit: 20) { id }`);
  t.equal((await world.ask(`{ ${roots.slice(0, 2).join(" ")} }`)).errors, undefined);
  await refusal(`{ ${roots.join(" ")} }`);
});

t.test("a query of too many statements is refused before it reads", async (t) => {
  const counts = (many: number) =>
    Array.from({ length: many }, (_, n) => `c${n}: log_aggregate { aggregate { count } }`);
  t.match(await refusal(`{ ${counts(101).join(" ")} }`), {
    message: "The query has more than 100 lists, counts and related rows in it.",
    hint: "Ask in several queries.",
  });
  t.equal(world.statements(), 0);
  const inner = Array.from({ length: 50 }, (_, n) => `t${n}: task_runs(limit: 1) { id } f${n}: flow { id }`);
  t.match(await refusal(`{ flow_run(limit: 1) { ${inner.join(" ")} } }`), { message: /more than 100 lists/ });
  t.equal((await world.ask(`{ ${counts(100).join(" ")} }`)).errors, undefined);
  t.equal(world.statements(), 100);
});

t.test("others get their turn between the statements of one query", async (t) => {
  const roots = Array.from({ length: 20 }, (_, n) => `r${n}: flow_run_aggregate { aggregate { count } }`);
  let turns = 0;
  let going = true;
  const count = () => {
    turns += 1;
    if (going) setImmediate(count);
  };
  setImmediate(count);
  t.equal((await world.ask(`{ ${roots.join(" ")} }`)).errors, undefined);
  going = false;
  t.ok(turns >= 19, `${turns} turns of the event loop for 20 statements`);
});

t.test("a query that reads too much after all is stopped, all its roots together", async (t) => {
  t.match(await refusal("{ flow_run(limit: 20) { task_runs { id } again: task_runs { id } } }"), {
    message: /"task_run" cannot be answered: it reads more rows than one query may/,
    hint: /page/,
  });
  await refusal(
    "{ a: task_run(limit: 20) { id } b: task_run(limit: 20) { id } c: task_run(limit: 20) { id task { id } } }",
  );
  t.equal(
    (await world.ask("{ flow_run(limit: 20) { task_runs { id } } }")).errors,
    undefined,
    "the next starts afresh",
  );
});

t.test("an unusable operand is refused, and says what would do", async (t) => {
  t.match(await refusal('{ flow_run(where: {id: {_eq: "x"}}) { id } }'), {
    message: 'A query of "flow_run" cannot be answered: "id" is compared with a UUID, and was "x".',
  });
  t.match(await refusal('{ flow_run(where: {flow: {id: {_in: ["", "y"]}}}) { id } }'), {
    message: /"flow".*a UUID, and was ""/,
  });
  t.match(await refusal('{ flow_run_by_pk(id: "x") { id } }'), { message: /a UUID/ });
  t.match(await refusal('{ flow_run(where: {created: {_gt: "yesterday"}}) { id } }'), {
    message: /an instant in ISO 8601/,
  });
  t.match(await refusal('{ task(where: {retry_delay: {_gt: "1 day"}}) { id } }'), { message: /HH:MM:SS/ });
  t.match(await refusal(`{ flow_run(where: {name: {_like: "${"%a".repeat(501)}"}}) { id } }`), {
    message: /1002 characters/,
  });
});

t.test("an absurd filter is refused", async (t) => {
  const query = "query ($w: flow_run_bool_exp) { flow_run(where: $w) { id } }";
  let deep: object = {};
  for (let n = 0; n < 30; n++) deep = { _not: deep };
  t.match(await refusal(query, { w: deep }), { message: /more than 20 levels deep/ });
  const wide = { _or: Array.from({ length: 300 }, (_, version) => ({ version: { _eq: version } })) };
  t.match(await refusal(query, { w: wide }), { message: /more than 500 conditions/, hint: /_in/ });
  const json = { labels: { _contains: Array.from({ length: 501 }, (_, n) => n) } };
  t.match(await refusal(query, { w: json }), { message: /more than 500 conditions/ });
  let nested: unknown = 1;
  for (let n = 0; n < 30; n++) nested = [nested];
  t.match(await refusal(query, { w: { labels: { _eq: nested } } }), { message: /JSON in its filter/ });
  const ids = Array.from({ length: 10_001 }, (_, n) => n);
  t.match(await refusal(query, { w: { version: { _in: ids } } }), { message: /10001 values, and 10000 are the most/ });
  t.equal((await world.ask(query, { w: { version: { _in: ids.slice(1) } } })).errors, undefined);
});

t.test("a filter whose work grows with the power of its length is refused", async (t) => {
  const query = "query ($w: task_bool_exp) { task(where: $w) { id } }";
  let nested: object = { name: { _eq: "no" } };
  for (let n = 0; n < 4; n++) nested = { flow: { tasks: nested } };
  t.match(await refusal(query, { w: nested }), {
    message: /"task" cannot be answered: its filter goes back to where it came from, by "flow.tasks"/,
  });
  t.match(await refusal(query, { w: { task_runs: { task: { name: { _eq: "no" } } } } }), {
    message: /"task_runs.task"/,
  });
  const around = { task_runs: { flow_run: { flow: { tasks: { name: { _eq: "no" } } } } } };
  t.match(await refusal(query, { w: around }), { message: /"task_runs.flow_run.flow.tasks"/ });
  const lists = { flows: { flow_runs: { task_runs: { state: { _eq: "Failed" } } } } };
  t.match(await refusal("query ($w: project_bool_exp) { project(where: $w) { id } }", { w: { _not: lists } }), {
    message: /leads over more than 2 lists, by "flows.flow_runs.task_runs"/,
    hint: /_in/,
  });
  t.equal(world.statements(), 0);
  const two = { flow_runs: { task_runs: { state: { _eq: "Failed" } } }, tasks: { task_runs: { states: {} } } };
  t.match(await refusal("query ($w: flow_bool_exp) { flow(where: $w) { id } }", { w: two }), {
    message: /"tasks.task_runs.states"/,
  });
  two.tasks.task_runs = {} as never;
  t.equal((await world.ask("query ($w: flow_bool_exp) { flow(where: $w) { id } }", { w: two })).errors, undefined);
});

t.test("the largest filter that is taken is also answered", async (t) => {
  const query = "query ($w: flow_run_bool_exp) { flow_run(where: $w) { id } }";
  const leaves = Array.from({ length: 160 }, (_, n) => ({ name: { _neq: `n${n}` } }));
  const json = { labels: { _neq: Array.from({ length: 480 }, (_, n) => n) } };
  let deep: object = { task_runs: { states: { state: { _neq: "x" } } } };
  for (let n = 0; n < 5; n++) deep = { _not: deep };
  for (const w of [{ _and: leaves }, { _or: leaves }, json, deep, { _and: [json] }]) {
    t.equal((await world.ask(query, { w })).errors, undefined);
  }
});

t.test("keys of a variable whose order nobody knows are refused rather than guessed", async (t) => {
  const schema = addReadApi(buildSchema("scalar UUID scalar JSON scalar DateTime type Query { hello: String }"), world);
  const source = "query ($o: [flow_run_order_by!]) { flow_run(order_by: $o) { id } }";
  const ask = (o: unknown) =>
    graphql({ schema, source, variableValues: { o }, contextValue: { tenantId: tenantRows(1).tenant[0]!.id } });
  t.ok(isMillraceError((await ask({ name: "asc", version: "asc" })).errors?.[0]?.originalError, "INPUT_INVALID"));
  t.equal((await ask([{ name: "asc" }, { version: "asc" }])).errors, undefined);
});

t.test("an operation that has taken too long begins no further statement", async (t) => {
  const slow = await openReadWorld(t.testdir(), { ...limits, maxMs: -1 });
  t.teardown(() => slow.close());
  const { errors } = await slow.ask("{ flow_run(limit: 1) { id } }");
  t.match(errors?.[0]?.originalError, { code: "INPUT_INVALID", message: /taken longer than one may/ });
});
