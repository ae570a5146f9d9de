import t from "tap";
import { type FlowSpec, hashFlowSpec, toFlowSpec } from "../../src/core/flow-spec.js";
import { parameter } from "../../src/core/parameter.js";
import type { Ref } from "../../src/core/reference.js";
import { diffSpecs, renderDiff, type SpecDifference, taskIdsChanged } from "../../src/core/spec-diff.js";
import { task } from "../../src/core/task.js";
import { build, seeded } from "../helpers/build.js";

const fetchRows = task("fetch", (url: string) => [url]);
const clean = task("clean", (rows: readonly string[]) => rows.filter(Boolean));
const store = task("store", (rows: readonly string[], table: string) => `${table} ${rows.length}`);

const spec = (body: () => unknown, name = "orders"): FlowSpec => toFlowSpec(build(name, body));
const base = () => store(clean(fetchRows("a")), "t");
const changes = (before: () => unknown, after: () => unknown): string[] =>
  diffSpecs(spec(before), spec(after)).map((row) => `${row.kind}: ${row.slug}: ${row.before} | ${row.after}`);

t.test("an unchanged flow has no rows", async (t) => {
  t.same(changes(base, base), []);
  t.same(
    changes(
      () => [fetchRows("a"), clean([])],
      () => [clean([]), fetchRows("a")],
    ),
    [],
    "order of definition aside",
  );
});

t.test("each kind of change has its row", async (t) => {
  const cases: [string, () => unknown, string[]][] = [
    [
      "added",
      () => store(clean(clean(fetchRows("a"))), "t"),
      ["added: clean-2: – | clean", "rewired: store-1: clean-1 → [0] | clean-2 → [0]"],
    ],
    [
      "removed",
      () => store(fetchRows("a"), "t"),
      ["removed: clean-1: clean | –", "rewired: store-1: clean-1 → [0] | fetch-1 → [0]"],
    ],
    ["renamed", () => store(task("tidy", clean.fn)(fetchRows("a")), "t"), ["renamed: tidy-1: clean-1 | tidy-1"]],
    [
      "rewired",
      () => {
        const rows = fetchRows("a");
        clean(rows);
        store(rows, "t");
      },
      ["rewired: store-1: clean-1 → [0] | fetch-1 → [0]"],
    ],
    [
      "an order edge",
      () => {
        const rows = fetchRows("a");
        store(clean(rows), "t").after(rows);
      },
      ["rewired: store-1: clean-1 → [0] | clean-1 → [0], fetch-1 → (order)"],
    ],
    [
      "arguments",
      () => store(clean(fetchRows("b")), "t"),
      [/^arguments changed: fetch-1: [0-9a-f]{10} \| [0-9a-f]{10}$/ as unknown as string],
    ],
    [
      "body",
      () => store(task("clean", (rows: readonly string[]) => [...rows])(fetchRows("a")), "t"),
      [/^body changed: clean-1: [0-9a-f]{10} \| [0-9a-f]{10}$/ as unknown as string],
    ],
    [
      "options",
      () => store(clean.with({ retries: 2, timeoutMs: 5 })(fetchRows("a")), "t"),
      ["options changed: clean-1: retries 0, timeoutMs null | retries 2, timeoutMs 5"],
    ],
  ];
  for (const [what, after, rows] of cases) t.match(changes(base, after), rows, what);
  for (const [what, after, rows] of cases)
    t.equal(changes(base, after).length, rows.length, `${what}, and nothing else`);
});

t.test("mapping, a place inside an argument and a parameter's default are told", async (t) => {
  t.match(
    changes(
      () => fetchRows("a"),
      () => fetchRows.map(["a"]),
    ),
    [/arguments changed/, "options changed: fetch-1: mapped false | mapped true"],
  );
  t.same(
    changes(
      () => store([fetchRows("a")] as never, "t"),
      () => store({ rows: fetchRows("a") } as never, "t"),
    ).at(-1),
    "rewired: store-1: fetch-1 → [0.0] | fetch-1 → [0.rows]",
  );
  const withDefault = (value?: string) => () =>
    fetchRows(parameter<string>("url", value === undefined ? {} : { default: value }));
  t.match(changes(withDefault("a"), withDefault("b")), [/^arguments changed: url/]);
  t.match(changes(withDefault(), withDefault("b")), [/^arguments changed: url/]);
});

t.test("which tasks decide the run is told when no other row says it", async (t) => {
  const [before, after] = [spec(base), { ...spec(base), referenceTasks: ["fetch-1"] }];
  t.same(diffSpecs(before, after), [
    { kind: "flow changed", slug: "(flow)", before: "reference tasks store-1", after: "reference tasks fetch-1" },
  ]);
  t.match(diffSpecs(before, spec(base, "purchases")), [
    { kind: "flow changed", before: "name orders", after: "name purchases" },
  ]);
});

t.test("two tasks renamed at once are paired by their bodies", async (t) => {
  const after = () => store(task("tidy", clean.fn)(task("get", fetchRows.fn)("a")), "t");
  t.same(changes(base, after), ["renamed: get-1: fetch-1 | get-1", "renamed: tidy-1: clean-1 | tidy-1"]);
});

t.test("a task with another name and another body was not renamed", async (t) => {
  const after = () => store(task("tidy", (rows: readonly string[]) => [...rows])(fetchRows("a")), "t");
  t.same(changes(base, after), [
    "removed: clean-1: clean | –",
    "added: tidy-1: – | tidy",
    "rewired: store-1: clean-1 → [0] | tidy-1 → [0]",
  ]);
});

t.test("where bodies cannot be compared they are left out", async (t) => {
  const other = spec(() => store(task("clean", (rows: readonly string[]) => [...rows])(fetchRows("a")), "t"));
  t.same(diffSpecs(spec(base), other, { bodies: false }), []);
  const renamed = spec(() => store(task("tidy", (rows: readonly string[]) => [...rows])(fetchRows("a")), "t"));
  t.same(
    diffSpecs(spec(base), renamed, { bodies: false }).map((row) => row.kind),
    ["renamed"],
  );
});

t.test("a build that is not deterministic shows in the diff", async (t) => {
  let calls = 0;
  const shaky = () => {
    calls += 1;
    return store(clean(fetchRows(`run ${calls}`)), "t");
  };
  t.match(diffSpecs(spec(shaky), spec(shaky)), [{ kind: "arguments changed", slug: "fetch-1" }]);
});

t.test("hashes differ exactly where there are rows", async (t) => {
  let equal = 0;
  for (let seed = 1; seed <= 300; seed++) {
    const random = seeded(seed);
    const before = spec(randomBody(random));
    const after = random() < 0.3 ? structuredClone(before) : spec(randomBody(random));
    const rows = diffSpecs(before, after);
    const same = hashFlowSpec(before) === hashFlowSpec(after);
    if (same) equal += 1;
    if (same !== (rows.length === 0)) t.fail(`seed ${seed}: hashes ${same ? "equal" : "differ"}, ${rows.length} rows`);
  }
  t.ok(equal > 30 && equal < 290, `both were met: ${equal} of 300 were equal`);
});

t.test("the diff of two flows of 20,000 tasks takes no longer than they are long", async (t) => {
  const chain = (first: string) =>
    spec(() => {
      let rows: Ref<string[]> = fetchRows(first);
      for (let i = 0; i < 20_000; i++) rows = clean(rows);
    });
  const [before, after] = [chain("a"), chain("b")];
  const start = performance.now();
  t.equal(diffSpecs(before, after).length, 1);
  t.ok(performance.now() - start < 2_000, "a quadratic diff takes a minute");
});

t.test("the table has a column for each side, as wide as its longest cell", async (t) => {
  const rows: SpecDifference[] = [
    { kind: "renamed", slug: "tidy-1", before: "clean-1", after: "tidy-1" },
    { kind: "options changed", slug: "a", before: "retries 0", after: "retries 12" },
  ];
  t.equal(
    renderDiff(rows, "the Cloud (version 3)", "this code"),
    [
      "change           task    the Cloud (version 3)  this code",
      "renamed          tidy-1  clean-1                tidy-1",
      "options changed  a       retries 0              retries 12",
    ].join("\n"),
  );
});

t.test("the error carries the table for people and the rows for machines", async (t) => {
  const [before, after] = [spec(base), spec(() => store(fetchRows("a"), "t"))];
  const rows = diffSpecs(before, after);
  const error = taskIdsChanged(
    "orders",
    { label: "the Cloud", spec: before },
    { label: "here", spec: after },
    rows,
    "Deploy again.",
  );
  t.match(error, {
    code: "TASK_IDS_CHANGED",
    hint: "Deploy again.",
    details: { before: "the Cloud", after: "here", rows },
  });
  t.match(
    error.message,
    /^Flow "orders" is not the same in the Cloud and here:\nchange +task +the Cloud +here\nremoved +clean-1/,
  );
});

function randomBody(random: () => number): () => unknown {
  const length = 1 + Math.floor(random() * 3);
  const dice = Array.from({ length: length * 3 }, () => random());
  return () => {
    let rows: Ref<string[]> = fetchRows(dice[0]! < 0.5 ? "a" : "b");
    for (let i = 0; i < length; i++) {
      const tidy = dice[i * 3]! < 0.3 ? task("tidy", clean.fn) : clean;
      rows = tidy.with({ retries: dice[i * 3 + 1]! < 0.3 ? 1 : 0 })(dice[i * 3 + 2]! < 0.3 ? ["x"] : rows);
    }
  };
}
