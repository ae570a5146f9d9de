import { flow, parameter, type Ref, task, taskContext } from "millrace";

const noop = task("noop", (previous: number) => previous + 1);
const item = task("item", (value: number) => value);
const list = task("list", (length: number) => Array.from({ length }, (_, index) => index));
const count = task("count", (values: number[]) => values.length);
const firstLine = task("first line", () => String(process.hrtime.bigint()));
const burn = task("burn", (ms: number) => {
  const until = performance.now() + ms;
  let turns = 0;
  while (performance.now() < until && !taskContext().signal.aborted) turns += 1;
  return turns;
});

function chain(length: number): Ref<number> {
  let last = noop(0);
  for (let index = 1; index < length; index += 1) last = noop(last);
  return last;
}

export const chain100 = flow("chain 100", () => chain(100));
export const map1000 = flow("map 1000", () => count(item.map(list(parameter<number>("length", { default: 1000 })))));
export const chain5 = flow("chain 5", () => chain(5));
export const hello = flow("hello", () => firstLine());
export const burner = flow("burner", () => burn(parameter<number>("ms", { default: 2000 })));
