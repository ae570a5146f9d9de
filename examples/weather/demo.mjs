// `npm run demo`: the whole road on real input, with the Cloud in a process of its own. Exits 0 only if the Cloud says
// Success and the rows are right.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createRequire } from "node:module";
import { join, relative } from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { openCloud, resolveCloud } from "millrace/client";

const root = fileURLToPath(new URL("../..", import.meta.url));
const home = join(root, ".demo");
const database = join(home, "weather.db");
const csv = join(createRequire(import.meta.url).resolve("vega-datasets"), "../../data/seattle-weather.csv");

rmSync(home, { recursive: true, force: true });
process.env.MILLRACE_HOME = home;
const { weather } = await import("./weather.ts");

const server = await startCloud();
const cloud = openCloud(resolveCloud({}));
try {
  heading("Deploy");
  const { flowId } = await weather.deploy("Demo", { createProject: true });

  heading("Ask for a run, and run an agent until it is done");
  const flowRunId = await cloud.createFlowRun({ flowId, parameters: { csv, database } });
  await weather.runAgent({ once: true, handleSignals: false });

  heading("What the Cloud saw");
  const state = await printTimeline(flowRunId);

  heading("What was written");
  const rowsAreRight = checkRows();

  heading("Where to look next");
  console.log(`  export MILLRACE_HOME=${relative(process.cwd(), home) || "."}`);
  console.log(
    `  npx millrace server start --port ${new URL(cloud.url).port}     # the same Cloud again; then, in a second terminal:`,
  );
  console.log(
    `  npx millrace get flow-runs; npx millrace get task-runs ${flowRunId}; npx millrace get logs ${flowRunId}`,
  );
  console.log(
    "  examples/weather/weather.ts                # the flow; ARCHITECTURE.md follows its data through the code",
  );

  console.log(`\nThe Cloud says ${state}; the rows are ${rowsAreRight ? "right" : "WRONG"}.`);
  process.exitCode = state === "Success" && rowsAreRight ? 0 : 1;
} finally {
  await cloud.close();
  const exited = once(server, "exit");
  server.kill("SIGTERM");
  await exited;
}

/** The command line's own server, on a fresh SQLite file and a free port; its first start logs this home in. */
async function startCloud() {
  heading("Start the Cloud");
  const child = spawn(process.execPath, [join(root, "bin/millrace.cjs"), "server", "start", "--port", "0", "--json"], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.once("exit", (code) => {
    if (code) throw new Error(`the server ended with ${code}`);
  });
  for await (const line of createInterface({ input: child.stdout })) {
    const { url, database: file } = JSON.parse(line);
    console.log(`  ${url}, on ${relative(process.cwd(), file)}`);
    break;
  }
  return child;
}

async function printTimeline(flowRunId) {
  const { flow_run_by_pk: run } = await cloud.query(
    `query ($id: UUID!) {
       flow_run_by_pk(id: $id) {
         state
         states(order_by: { version: asc }) { timestamp state message }
         task_runs { map_index task { slug } states(order_by: { version: asc }) { timestamp state message } }
       }
     }`,
    { id: flowRunId },
  );
  // Within one millisecond the order of these two lists is the order of events, but for the flow run's last state.
  const flowStates = run.states.map((each) => ({ ...each, name: "flow run" }));
  const rows = [
    ...flowStates.slice(0, -1),
    ...run.task_runs.flatMap((taskRun) => {
      const name = taskRun.map_index < 0 ? taskRun.task.slug : `${taskRun.task.slug}[${taskRun.map_index}]`;
      return taskRun.states.map((each) => ({ ...each, name }));
    }),
    ...flowStates.slice(-1),
  ].sort((a, b) => (a.timestamp < b.timestamp ? -1 : a.timestamp > b.timestamp ? 1 : 0));
  const isChild = (row) => row.name.endsWith("]") && !row.name.endsWith("[0]");
  const start = Date.parse(rows[0].timestamp);
  for (const row of rows.filter((each) => !isChild(each) && each.state !== "Pending")) {
    console.log(
      `  ${String(Date.parse(row.timestamp) - start).padStart(6)} ms  ${row.name.padEnd(30)} ${row.state.padEnd(10)} ${row.message ?? ""}`,
    );
  }
  console.log(
    `             … and ${new Set(rows.filter(isChild).map((row) => row.name)).size} more months beside summarise month[0]`,
  );
  return run.state;
}

/** The same sums taken another way: by SQLite, over the raw lines. */
function checkRows() {
  const written = new DatabaseSync(database, { readOnly: true });
  const rows = written.prepare("select * from month order by month").all();
  written.close();
  console.table(rows.slice(0, 6).map((row) => ({ ...row })));
  console.log(`  … ${rows.length} rows in all, in ${relative(process.cwd(), database)}`);

  const check = new DatabaseSync(":memory:");
  check.exec("create table day (date text, rain real, high real)");
  const insert = check.prepare("insert into day values (?, ?, ?)");
  for (const line of readFileSync(csv, "utf8").trim().split("\n").slice(1)) {
    const [date, rain, high] = line.split(",");
    insert.run(date, Number(rain), Number(high));
  }
  const expected = check
    .prepare(
      `select substr(date, 1, 7) as month, count(*) as days, round(sum(rain), 1) as rain_mm, round(avg(high), 2) as mean_max_c,
              (select date from day b where substr(b.date, 1, 7) = substr(a.date, 1, 7) order by high desc, date limit 1) as warmest_day
       from day a group by 1 order by 1`,
    )
    .all();
  check.close();
  const near = (a, b) => (typeof a === "number" ? Math.abs(a - b) < 0.011 : a === b);
  return (
    rows.length === 48 &&
    expected.length === 48 &&
    expected.every((row, index) => Object.keys(row).every((key) => near(row[key], rows[index][key])))
  );
}

function heading(text) {
  console.log(`\n${text}`);
}
