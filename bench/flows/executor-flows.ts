import { flow, parameter, task } from "millrace";

const repeat = task("repeat", (count: number, value: number) => Array.from({ length: count }, () => value));
const crunch = task("crunch", (rounds: number) => {
  let value = 1;
  for (let round = 0; round < rounds; round += 1) value = (Math.imul(value, 1_664_525) + 1_013_904_223) | 0;
  return value;
});
const noop = task("noop", (value: number) => value);

/** 8 tasks that do nothing but work the processor. */
export const crunch8 = flow("crunch 8", () => crunch.map(repeat(8, parameter<number>("rounds"))));

/** So many tasks that do nothing. */
export const noops = flow("noops", () => noop.map(repeat(parameter<number>("count"), 1)));
