/* Compiled, never run: each @ts-expect-error marks a line that must not compile. */
import { flow, type Ref, signals, task } from "../../src/index.js";
import { type Equal, isTrue } from "./expect.js";

const one = task("one", () => 1);
const word = task("word", async () => "a");
const add = task("add", (a: number, b: number) => a + b);
const greet = task("greet", (name: string, greeting?: string) => `${greeting ?? "hello"} ${name}`);
const pad = task("pad", (text: string, width = 10, fill: string | number = " ") => text.padEnd(width, String(fill)));
const sum = task("sum", (...numbers: number[]) => numbers.length);
const total = task("total", (numbers: readonly number[]) => numbers.length);
const sort = task("sort", (numbers: number[]) => numbers.sort());
const save = task("save", (row: { id: number; tags: string[]; at?: Date }) => row.id);
const either = task("either", (value: string | number[]) => value.length);
const pick = task("pick", (mode: "fast" | "safe") => mode);
const anything = task("anything", (value: unknown) => value);
const loose = task("loose", JSON.parse);
const pair = task("pair", () => [1, "a"] as const);
const takesPair = task("takes pair", (both: readonly [number, string]) => both[0]);
const nothing = task("nothing", () => {});
const maybe = task("maybe", (): string | undefined => undefined);
const callback = task("callback", (fn: (x: number) => string) => fn(1));
const tree = task("tree", (json: Json) => json);
const when = task("when", (at: Date, url: URL, rows: Map<string, number>) => [at, url, rows]);

type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

flow("outputs become inputs", () => {
  add(one(), 2);
  add(one(), one());
  // @ts-expect-error the output of word is a string
  add(word(), 2);
  // @ts-expect-error a string is no number
  add("1", 2);
  // @ts-expect-error one argument is missing
  add(one());
  // @ts-expect-error one argument is too many
  add(1, 2, 3);
  // @ts-expect-error nothing comes out of it
  add(nothing(), 1);
  greet(word());
  // @ts-expect-error it may be undefined
  greet(maybe());
});

flow("async tasks give what they resolve with", () => {
  isTrue<Equal<ReturnType<typeof word>, Ref<string>>>();
  isTrue<Equal<ReturnType<typeof add>, Ref<number>>>();
  const nested = task("nested", async () => Promise.resolve({ deep: Promise.resolve(1) }));
  isTrue<Equal<ReturnType<typeof nested>, Ref<{ deep: Promise<number> }>>>();
  // @ts-expect-error a promise is not what a task takes
  greet(Promise.resolve("a"));
});

flow("optional, default and rest arguments", () => {
  greet("Ada");
  greet("Ada", "hi");
  greet("Ada", word());
  greet("Ada", undefined);
  greet("Ada", maybe());
  // @ts-expect-error a greeting is a string
  greet("Ada", one());
  pad("a");
  pad("a", one());
  pad("a", 3, word());
  pad("a", 3, one());
  // @ts-expect-error a width is a number
  pad("a", "3");
  sum();
  sum(1, one(), 3);
  // @ts-expect-error a word is no number
  sum(1, word());
});

flow("arrays and objects of references", () => {
  total([1, one(), add(1, 2)]);
  total([one(), one()] as const);
  sort([one(), 2]);
  // @ts-expect-error a word is no number
  total([one(), word()]);
  // @ts-expect-error a number is no list
  total(one());
  save({ id: one(), tags: [word(), "b"] });
  save({ id: 1, tags: task("tags", () => ["a"])(), at: task("now", () => new Date())() });
  // @ts-expect-error an id is a number
  save({ id: word(), tags: [] });
  // @ts-expect-error a field is missing
  save({ id: one() });
  // @ts-expect-error there is no such field
  save({ id: one(), tags: [], colour: "red" });
  takesPair(pair());
  takesPair([one(), word()]);
  // @ts-expect-error the pair is the other way round
  takesPair([word(), one()]);
});

flow("unions, literals, unknown and any", () => {
  either(word());
  either([one(), 2]);
  either(task("either", () => (Math.random() > 0.5 ? "a" : [1]))());
  // @ts-expect-error a number is neither
  either(one());
  pick("fast");
  pick(task("mode", (): "fast" | "safe" => "fast")());
  // @ts-expect-error any word will not do
  pick(word());
  // @ts-expect-error no such mode
  pick("slow");
  anything(one());
  anything({ deep: [word()] });
  anything(undefined);
  add(loose("1"), 2);
  greet(loose(word()));
  tree({ a: [word(), one(), { b: null }] });
  tree(task("json", (): Json => ({}))());
  // @ts-expect-error a date is not JSON
  tree(task("date", () => new Date())());
  callback((x) => String(x));
  // @ts-expect-error a reference to a number is not a function
  callback(one());
  when(new Date(), new URL("http://a.test"), new Map());
  // @ts-expect-error a word is no date
  when(word(), new URL("http://a.test"), new Map());
});

flow("a reference is not its value", () => {
  const value = one();
  // @ts-expect-error there is no number yet while the flow is built
  value.toFixed();
  // @ts-expect-error nor can one calculate with it
  const more: number = value + 1;
  return more;
});

flow("order without data", () => {
  const first = one();
  isTrue<Equal<ReturnType<typeof add>, Ref<number>>>();
  const later: Ref<number> = add(1, 2).after(first, word());
  total([later.after(first)]);
  // @ts-expect-error only references can be waited for
  later.after(1);
  // @ts-expect-error nor a task that was not called
  later.after(one);
});

flow("with() keeps the types", () => {
  add.with({ retries: 2 })(one(), 2);
  // @ts-expect-error still two numbers
  add.with({ retries: 2 })(word(), 2);
  // @ts-expect-error no such option
  add.with({ retry: 2 });
  // @ts-expect-error no such option
  task("x", { retires: 1 }, () => 1);
  add.fn(1, 2).toFixed();
  // @ts-expect-error the function itself takes values
  add.fn(one(), 2);
});

flow("a signal that a function returns is no output", () => {
  const positive = task("positive", async (n: number) => (n > 0 ? n : signals.skip("not positive")));
  isTrue<Equal<ReturnType<typeof positive>, Ref<number>>>();
  add(positive(1), positive(2));
  isTrue<Equal<ReturnType<typeof anything>, Ref<unknown>>>();
});

flow("tasks of generic and overloaded functions can be called", () => {
  const same = task("same", <T>(value: T) => value);
  same(one());
  function twice(value: string): string;
  function twice(value: number): number;
  function twice(value: string | number): string | number {
    return value;
  }
  // TypeScript takes the last overload where it infers.
  task("twice", twice)(one());
});
