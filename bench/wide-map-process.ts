/** Runs one map of no-op children without a Cloud and prints what it took, as JSON: `node wide-map-process.js <width>`. */
import { task } from "../src/core/task.js";
import { flow } from "../src/flow.js";

const width = Number(process.argv[2]);
const numbers = task("numbers", () => Array.from({ length: width }, (_, index) => index));
const nothing = task("nothing", (value: number) => value);
const from = performance.now();
const run = await flow("wide", () => nothing.map(numbers())).run({}, { log: () => {} });
if (run.state.type !== "Success") throw new Error(`the map ended ${run.state.type}: ${run.state.message}`);
const microsATask = ((performance.now() - from) * 1_000) / width;
process.stdout.write(JSON.stringify({ peakMib: process.resourceUsage().maxRSS / 1_024, microsATask }));
