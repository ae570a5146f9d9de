/* Compiled, never run: each @ts-expect-error marks a line that must not compile. */
import { z } from "zod";
import {
  applyMap,
  approval,
  flatten,
  flow,
  type MappedRef,
  merge,
  pick,
  type Ref,
  resource,
  runFlow,
  type Subflow,
  switchOn,
  task,
  unmapped,
  use,
  when,
  withTags,
} from "../../src/index.js";
import { type Equal, isTrue } from "./expect.js";

const isOpen = task("is open", (): boolean => true);
const one = task("one", (): number => 1);
const word = task("word", async () => "a");
const mode = task("mode", (): "fast" | "safe" => "fast");
const size = task("size", (): 1 | 2 | undefined => 1);
const nothing = task("nothing", () => {});
const numbers = task("numbers", () => [1, 2, 3]);
const double = task("double", (value: number) => value * 2);
const upper = task("upper", (text: string) => text.toUpperCase());
const either = task("either", (value: string | number) => String(value));
const maybe = task("maybe", (value: string | undefined) => value ?? "");
const pair = task("pair", () => [1, "a"] as const);
const page = task("page", () => ({ rows: [1, 2], next: undefined as string | undefined, at: new Date() }));
const words = task("words", (text: string) => text.split(" "));

flow("when gives what its branches give", () => {
  isTrue<Equal<ReturnType<typeof chosen>, Ref<number | string>>>();
  either(chosen());
  // @ts-expect-error it may be a string
  double(chosen());
  const alone = when(isOpen(), () => one());
  isTrue<Equal<typeof alone, Ref<number>>>();
  const same = when(
    isOpen(),
    () => one(),
    () => 5,
  );
  isTrue<Equal<typeof same, Ref<number>>>();
  double(same);
  const record = when(
    isOpen(),
    () => ({ id: one(), tags: [word()] }),
    () => undefined,
  );
  isTrue<Equal<typeof record, Ref<{ id: number; tags: string[] } | undefined>>>();
  const silent = when(
    isOpen(),
    () => {
      one();
    },
    () => {
      word();
    },
  );
  isTrue<Equal<typeof silent, void>>();
  const half = when(
    isOpen(),
    () => word(),
    () => {
      one();
    },
  );
  isTrue<Equal<typeof half, Ref<string | undefined>>>();
  maybe(half);
  // @ts-expect-error it may be undefined
  upper(half);
  // @ts-expect-error a word is no condition
  when(word(), () => one());
  // @ts-expect-error a plain value needs no when()
  when(true, () => one());
  // @ts-expect-error a branch is a function
  when(isOpen(), one());
});
const chosen = () =>
  when(
    isOpen(),
    () => one(),
    () => word(),
  );

flow("switchOn takes the cases that there are", () => {
  const speed = switchOn(mode(), { fast: () => one(), safe: () => word() });
  isTrue<Equal<typeof speed, Ref<number | string>>>();
  const some = switchOn(mode(), { fast: () => one() }, () => null);
  isTrue<Equal<typeof some, Ref<number | null>>>();
  // @ts-expect-error there is no such mode
  switchOn(mode(), { fast: () => one(), slow: () => one() });
  switchOn(size(), { 1: () => one(), 2: () => word() });
  // @ts-expect-error there is no such size
  switchOn(size(), { 3: () => one() });
  switchOn(word(), { anything: () => one(), else: () => nothing() });
  switchOn(isOpen(), { true: () => one(), false: () => one() });
  // @ts-expect-error an object has no case
  switchOn(page(), { rows: () => one() });
  // @ts-expect-error a case is a function
  switchOn(mode(), { fast: one() });
});

flow("merge gives one of its references", () => {
  const merged = merge(one(), word());
  isTrue<Equal<typeof merged, Ref<number | string>>>();
  // @ts-expect-error it may be a string
  double(merged);
  // @ts-expect-error only references
  merge(one(), 2);
  // @ts-expect-error something must be given
  merge();
});

flow("pick knows what stands where", () => {
  const rows = pick(page(), "rows");
  isTrue<Equal<typeof rows, Ref<number[]>>>();
  const [first, second] = pick(pair(), 0, 1);
  isTrue<Equal<typeof first, Ref<1>>>();
  isTrue<Equal<typeof second, Ref<"a">>>();
  const [next, at] = pick(page(), "next", "at");
  isTrue<Equal<typeof next, Ref<string | undefined>>>();
  isTrue<Equal<typeof at, Ref<Date>>>();
  const third = pick(numbers(), 2);
  isTrue<Equal<typeof third, Ref<number | undefined>>>();
  // @ts-expect-error the list may be too short
  double(third);
  // @ts-expect-error there is no such field
  pick(page(), "size");
  // @ts-expect-error a pair has no third place
  pick(pair(), 2);
  // @ts-expect-error a method is no place of a list
  pick(numbers(), "map");
  // @ts-expect-error a number has no fields
  pick(one(), "toFixed");
});

const database = resource("database", {
  setup: async (url: string, poolSize = 1) => ({ url, poolSize, query: (text: string) => text.length }),
  cleanup: (connection) => connection.poolSize.toFixed(),
});
const query = task("query", (db: { query(text: string): number }, text: string) => db.query(text));

flow("a resource is set up with its arguments and typed by what that gives", () => {
  const count = use(database(word()), (db) => {
    isTrue<Equal<typeof db, Ref<{ url: string; poolSize: number; query: (text: string) => number }>>>();
    return query(db, "select");
  });
  isTrue<Equal<typeof count, Ref<number>>>();
  // @ts-expect-error an address is a string
  use(database(one()), () => nothing());
  // @ts-expect-error a resource is called first
  use(database, () => nothing());
  // @ts-expect-error a connection is no number
  use(database("a"), (db) => double(db));
});
resource("folder", {
  setup: () => "/tmp/a",
  // @ts-expect-error the path is a string
  cleanup: (path: number) => path,
});

flow("applyMap hands items in and gives lists out", () => {
  const doubled = applyMap((value) => double(value), numbers());
  isTrue<Equal<typeof doubled, MappedRef<number>>>();
  const both = applyMap(
    (value, text, factor) => {
      isTrue<Equal<typeof value, Ref<number>>>();
      isTrue<Equal<typeof text, Ref<"a" | "b">>>();
      isTrue<Equal<typeof factor, Ref<number>>>();
      return { doubled: double(value), upper: upper(text) };
    },
    numbers(),
    ["a", "b"],
    unmapped(one()),
  );
  isTrue<Equal<typeof both, { doubled: MappedRef<number>; upper: MappedRef<string> }>>();
  const flat = applyMap((text) => upper(text), flatten(words.map(["a b"])));
  isTrue<Equal<typeof flat, MappedRef<string>>>();
  const branched = applyMap(
    (value) =>
      when(
        isOpen(),
        () => double(value),
        () => word(),
      ),
    numbers(),
  );
  isTrue<Equal<typeof branched, MappedRef<number | string>>>();
  applyMap((value) => {
    double(value);
  }, numbers());
  // @ts-expect-error a number is no text
  applyMap((value) => upper(value), numbers());
  // @ts-expect-error one number is no list
  applyMap((value) => double(value), one());
  // @ts-expect-error there is nothing to map over
  applyMap(() => one());
});

flow("approvals, subflows and tags", () => {
  const release = approval("release", { schema: z.object({ version: z.string() }), message: word(), withinMs: 1000 });
  isTrue<Equal<typeof release, Ref<{ version: string }>>>();
  upper(pick(release, "version"));
  isTrue<Equal<ReturnType<typeof approval>, Ref<unknown>>>();
  // @ts-expect-error a message is text
  approval("release", { message: one() });
  const run = runFlow({ flow: "load", parameters: { day: word(), count: 1 }, runName: word() }, { retries: 1 });
  isTrue<Equal<typeof run, Ref<Subflow>>>();
  // @ts-expect-error parameters are an object
  runFlow({ flow: "load", parameters: one() });
  // @ts-expect-error a flow must be named
  runFlow({ project: "Sales" });
  // @ts-expect-error a task is no flow
  runFlow({ flow: one });
  runFlow({ flow: flow("inner", () => one()), wait: false });
  const tagged = withTags(["slow"], () => one());
  isTrue<Equal<typeof tagged, Ref<number>>>();
  // @ts-expect-error tags are a list
  withTags("slow", () => one());
});
