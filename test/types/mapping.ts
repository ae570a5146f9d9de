/* Compiled, never run: each @ts-expect-error marks a line that must not compile. */
import { flatten, flow, type MappedRef, type Ref, task, unmapped } from "../../src/index.js";
import { type Equal, isTrue } from "./expect.js";

const numbers = task("numbers", () => [1, 2, 3]);
const frozen = task("frozen", (): readonly number[] => [1, 2]);
const words = task("words", async () => ["a", "b"]);
const one = task("one", () => 1);
const word = task("word", () => "a");
const double = task("double", (value: number) => value * 2);
const scale = task("scale", (value: number, by: number, unit?: string) => `${value * by}${unit ?? ""}`);
const total = task("total", (values: readonly number[]) => values.length);
const lines = task("lines", (text: string) => text.split("\n"));
const upper = task("upper", (text: string) => text.toUpperCase());
const row = task("row", (row: { id: number; name: string }) => row.id);
const modes = task("modes", (value: number, mode: "fast" | "safe") => `${value}${mode}`);
const many = task("many", (rows: readonly number[], by: readonly number[]) => rows.length + by.length);
const anything = task("anything", (value: unknown) => value);

flow("map takes lists", () => {
  const doubled = double.map(numbers());
  isTrue<Equal<typeof doubled, MappedRef<number>>>();
  double.map([1, 2, one()]);
  double.map(frozen());
  double.map([1, 2] as const);
  row.map([
    { id: one(), name: word() },
    { id: 2, name: "b" },
  ]);
  // @ts-expect-error words are no numbers
  double.map(words());
  // @ts-expect-error one number is no list
  double.map(one());
  // @ts-expect-error nor is a plain one
  double.map(3);
  // @ts-expect-error a word among the numbers
  double.map([1, word()]);
  // @ts-expect-error a field is missing
  row.map([{ id: one() }]);
  // @ts-expect-error something must be given
  double.map();
  anything.map(numbers());
  // @ts-expect-error unknown is still a list of unknowns
  anything.map(5);
});

flow("maps chain, and reduce by being passed on", () => {
  const doubled = double.map(numbers());
  double.map(doubled);
  total(doubled);
  total(double.map([1]));
  // @ts-expect-error the whole list is no number
  double(doubled);
  // @ts-expect-error a list of words is no list of numbers
  total(upper.map(words()));
  const list: Ref<number[]> = doubled;
  return list;
});

flow("unmapped values go whole to each child", () => {
  scale.map(numbers(), unmapped(2));
  scale.map(numbers(), unmapped(one()));
  scale.map(numbers(), unmapped(2), unmapped("cm"));
  scale.map(numbers(), numbers(), words());
  scale.map(numbers(), [1, 2, 3]);
  // @ts-expect-error what is not mapped is wrapped
  scale.map(numbers(), 2);
  // @ts-expect-error a factor is a number
  scale.map(numbers(), unmapped("2"));
  // @ts-expect-error a factor is a number
  scale.map(numbers(), unmapped(word()));
  modes.map(numbers(), unmapped("fast"));
  // @ts-expect-error no such mode
  modes.map(numbers(), unmapped("slow"));
  many.map([[1], [2]], unmapped([1, 2]));
  many.map([[1], [2]], unmapped(numbers()));
  many.map([numbers(), [2]], unmapped([one(), 2]));
  // @ts-expect-error words are no numbers
  many.map([[1]], unmapped([word()]));
  row.map([{ id: 1, name: "a" }]);
});

flow("flatten takes one level away", () => {
  const nested = lines.map(words());
  isTrue<Equal<typeof nested, MappedRef<string[]>>>();
  upper.map(flatten(nested));
  const flat: Ref<string[]> = flatten(nested);
  // @ts-expect-error without it the children get lists
  upper.map(nested);
  // @ts-expect-error a list of words has no level to take away
  flatten(numbers());
  // @ts-expect-error numbers do not come out of words
  double.map(flatten(nested));
  return flat;
});
