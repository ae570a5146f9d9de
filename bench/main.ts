/** `npm run bench`: one table per subject, each beside the bare limit taken in the same run. `--quick` takes fewer rounds. */
import { availableParallelism, cpus } from "node:os";
import { measureBareLimits } from "./bare-limits.js";
import { openBed } from "./bed.js";
import { benchHost, benchLatency, benchRuns, benchTasks } from "./cloud.js";
import { benchCloudSize } from "./cloud-size.js";
import { benchEngine } from "./engine.js";
import { benchExecutors } from "./executors.js";
import { benchSchedules } from "./schedules.js";
import { benchStateWrites } from "./state-writes.js";
import { micros, printTable } from "./table.js";
import { benchWideMaps } from "./wide-map.js";

const quick = process.argv.includes("--quick");

console.log(`Node ${process.version}, ${availableParallelism()} × ${cpus()[0]?.model ?? "unknown processor"}`);
const bare = await measureBareLimits(quick ? 0.2 : 1);
console.log(
  `Bare: HTTP round trip ${micros(bare.httpMs)}, SQLite commit ${micros(bare.commitMs)}, row write ${micros(bare.rowMs)}, piscina hop ${micros(bare.hopMs)}`,
);

printTable({
  title: "The engine alone: no Cloud, no thread",
  rows: await benchEngine(),
  note: "Beside a promise graph of the same shape, which keeps no states, context, log or order.",
});

printTable(await benchWideMaps(quick));

printTable(benchSchedules());

printTable(await benchExecutors(bare, quick));

const bed = await openBed();
try {
  printTable(await benchTasks(bed, bare, quick));
  printTable(await benchRuns(bed, bare, quick));
  printTable(await benchLatency(bed, bare, quick));
  printTable(await benchHost(bed, quick));
} finally {
  await bed.close();
}

for (const table of await benchStateWrites(quick)) printTable(table);

for (const table of await benchCloudSize(quick)) printTable(table);
