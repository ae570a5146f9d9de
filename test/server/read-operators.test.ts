import t from "tap";
import { openReadWorld, uuid } from "../helpers/read-world.js";

const world = await openReadWorld(t.testdir());
t.after(() => world.close());

/** The numbers of the flow runs that the filter lets through. */
async function runs(where: string, extra = ""): Promise<number[]> {
  const { data, errors } = await world.ask(`{ flow_run(where: ${where} ${extra}) { version } }`);
  if (errors) throw errors[0];
  return (data!.flow_run as { version: number }[]).map(({ version }) => version).sort((a, b) => a - b);
}

const all = [0, 1, 2, 3, 4, 5, 6, 7];
const cases: [filter: string, expected: number[]][] = [
  ["{}", all],
  ["null", all],
  ["{version: {}}", all],
  ["{version: null}", all],
  ["{version: {_eq: 3}}", [3]],
  ["{version: {_eq: null}}", all],
  ["{version: {_neq: 3}}", [0, 1, 2, 4, 5, 6, 7]],
  ["{version: {_neq: null, _gt: null, _in: null, _is_null: null}}", all],
  ["{version: {_gt: 5}}", [6, 7]],
  ["{version: {_gte: 5}}", [5, 6, 7]],
  ["{version: {_lt: 2}}", [0, 1]],
  ["{version: {_lte: 2}}", [0, 1, 2]],
  ["{version: {_gt: 1, _lt: 4}}", [2, 3]],
  ["{version: {_in: [1, 7, 99]}}", [1, 7]],
  ["{version: {_in: 1}}", [1]],
  ["{version: {_in: []}}", []],
  ["{version: {_nin: [1, 7]}}", [0, 2, 3, 4, 5, 6]],
  ["{version: {_nin: []}}", all],
  // A column that is null is neither like a value nor unlike it.
  ['{state: {_eq: "Success"}}', [2, 5]],
  ['{state: {_neq: "Success"}}', [0, 1, 3, 4, 7]],
  ['{state: {_nin: ["Success", "Failed"]}}', [0, 1, 4, 7]],
  ["{state: {_nin: []}}", all],
  ["{state: {_is_null: true}}", [6]],
  ["{state: {_is_null: false}}", [0, 1, 2, 3, 4, 5, 7]],
  ["{version: {_is_null: true}}", []],
  ["{version: {_is_null: false}}", all],
  ['{_not: {state: {_eq: "Success"}}}', [0, 1, 3, 4, 7]],
  ["{_not: {version: {_eq: null}}}", []],
  ["{_not: null}", all],
  ["{_not: {version: {_gt: 3}}}", [0, 1, 2, 3]],
  // Lists, single objects in their place, and empty ones.
  ["{_and: {version: {_gt: 2}, auto_scheduled: {_eq: true}}}", [3, 5, 7]],
  ["{_and: [{version: {_gt: 2}}, {}, {version: {_lt: 5}}]}", [3, 4]],
  ["{_and: []}", all],
  ["{_or: [{version: {_eq: 1}}, {version: {_eq: 2}}]}", [1, 2]],
  ["{_or: {version: {_eq: 1}}}", [1]],
  ["{_or: [{version: {_eq: 1}}, {}]}", all],
  ["{_or: []}", []],
  ["{_or: null, _and: null}", all],
  // Text
  ['{name: {_like: "%e%"}}', [0, 1, 2, 4, 5, 6]],
  ['{name: {_like: "b%"}}', []],
  ['{name: {_ilike: "b%"}}', [1, 5]],
  ['{name: {_nlike: "%e%"}}', [3, 7]],
  ['{name: {_nilike: "b%"}}', [0, 2, 3, 4, 6, 7]],
  ['{name: {_like: "___-0"}}', [0]],
  ['{name: {_like: "green\\\\_1-%"}}', [2, 6]],
  ['{name: {_like: "\\\\%odd%"}}', [3, 7]],
  ['{name: {_like: "*"}}', []],
  ['{name: {_like: "[r]ed%"}}', []],
  ['{state_message: {_like: "M_ller & \\"S%"}}', [1, 3, 5, 7]],
  ['{name: {_gt: "green"}}', [0, 2, 4, 6]],
  // Truth, ids, instants with and without a zone
  ["{auto_scheduled: {_eq: true}}", [1, 3, 5, 7]],
  ["{auto_scheduled: {_neq: true}}", [0, 2, 4, 6]],
  [`{id: {_eq: "${uuid(8, 1, 4)}"}}`, [4]],
  [`{id: {_in: ["${uuid(8, 1, 4).toUpperCase()}", "${uuid(8, 2, 5)}"]}}`, [4]],
  ['{created: {_gte: "2026-11-23T10:00:06"}}', [6, 7]],
  ['{created: {_gt: "2026-11-23T12:00:06+02:00"}}', [7]],
  ['{created: {_lt: "2026-11-23T10:00:01.000001Z"}}', [0]],
  ['{created: {_eq: "2026-11-23 10:00:03"}}', [3]],
  ['{start_time: {_lte: "2026-11-23T10:00:11"}}', [0, 5]],
  // JSON
  ['{labels: {_contains: ["eu"]}}', [1, 2, 5, 6]],
  ['{labels: {_contains: ["gpu", "eu"]}}', [2, 6]],
  ['{labels: {_contains: "eu"}}', [1, 2, 5, 6]],
  ["{labels: {_contains: []}}", all],
  ['{labels: {_has_key: "GPU"}}', [3, 7]],
  ["{labels: {_eq: []}}", [0, 4]],
  ['{labels: {_eq: ["eu", "gpu"]}}', [2, 6]],
  ['{labels: {_eq: ["gpu", "eu"]}}', []],
  ["{labels: {_neq: []}}", [1, 2, 3, 5, 6, 7]],
  ["{parameters: {_contains: {n: 3}}}", [3]],
  ["{parameters: {_contains: {deep: {list: [{a: null}]}}}}", all],
  ["{parameters: {_contains: {deep: {list: [2]}}}}", []],
  ["{parameters: {_eq: {deep: {list: [1, {a: null}]}, n: 5}}}", [5]],
  ["{parameters: {_eq: {n: 5}}}", []],
  ['{parameters: {_has_key: "deep"}}', all],
  ['{parameters: {_has_key: "list"}}', []],
  ["{context: {_contains: {}}}", [0, 2, 4, 6]],
  ["{context: {_neq: [1]}}", [0, 2, 4, 6]],
  ["{context: {_is_null: true}}", [1, 3, 5, 7]],
  // Relations
  ['{flow: {name: {_eq: "report"}}}', [2, 5]],
  ['{flow: {project: {name: {_eq: "Sales"}}, version: {_eq: 2}}}', [1, 4, 7]],
  ["{flow: {_and: {name: {_eq: null}, project: {name: {_eq: null}}}}}", all],
  ["{flow: {project: {name: {_is_null: true}}}}", []],
  ["{flow: null}", all],
  ["{agent: {}}", [1, 2, 4, 5, 7]],
  ["{_not: {agent: {}}}", [0, 3, 6]],
  ['{task_runs: {state: {_eq: "Cached"}}}', all],
  ['{task_runs: {state_start_time: {_lte: "2026-11-23T10:00:01"}}}', [0, 1]],
  ['{_not: {task_runs: {state_start_time: {_lte: "2026-11-23T10:00:01"}}}}', [2, 3, 4, 5, 6, 7]],
  ['{logs: {level: {_eq: "ERROR"}, task_run: {map_index: {_eq: 0}}}}', [0, 1, 2, 3]],
  ['{task_runs: {task: {upstream_edges: {key: {_eq: "none"}}}}}', []],
];

for (const [filter, expected] of cases) {
  t.test(`where ${filter}`, async (t) => t.same(await runs(filter), expected));
}

t.test("a span of time is compared and answered as a clock", async (t) => {
  for (const operand of ['"00:01:30"', "90", '"00:01:30.0"']) {
    const { data } = await world.ask(`{ task(where: {retry_delay: {_eq: ${operand}}}) { retry_delay } }`);
    t.same(data, { task: Array(3).fill({ retry_delay: "00:01:30" }) });
  }
});

t.test("a log line's id leads back to it", async (t) => {
  const { data } = await world.ask("{ log(limit: 2) { id message } }");
  const [first, second] = data!.log as { id: string; message: string }[];
  const again = await world.ask(
    `{ log(where: {id: {_eq: "${second!.id}"}}) { message } log_by_pk(id: "${first!.id}") { message } }`,
  );
  t.same(again.data, { log: [{ message: second!.message }], log_by_pk: { message: first!.message } });
  const none = await world.ask(`{ log_by_pk(id: "${uuid(8, 1, 0)}") { message } }`);
  t.same(none.data, { log_by_pk: null });
});

t.test("a state's id, made of run and version, leads back to it", async (t) => {
  const { data } = await world.ask(
    "{ flow_run_state(limit: 2, order_by: {version: desc, flow_run_id: asc}) { id version state created } }",
  );
  const [first] = data!.flow_run_state as { id: string }[];
  t.equal(first!.id, `${uuid(8, 1, 0)}:2`);
  const again = await world.ask(`{ flow_run_state_by_pk(id: "${first!.id}") { version state created } }`);
  t.same(again.data, {
    flow_run_state_by_pk: { version: 2, state: "Running", created: "2026-11-23T10:00:02.000+00:00" },
  });
  for (const id of ["", "x", `${uuid(8, 1, 0)}`, `${uuid(8, 1, 0)}:-1`, `${uuid(8, 1, 0)}:9`]) {
    t.same(
      (await world.ask(`{ flow_run_state_by_pk(id: "${id}") { version } }`)).data,
      { flow_run_state_by_pk: null },
      id,
    );
  }
});
