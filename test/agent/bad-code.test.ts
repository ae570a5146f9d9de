import t from "tap";
import { openAgentBed } from "../helpers/agent-bed.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);

const deaths: Record<string, { fixture: string; task: string; code: string; message: RegExp }> = {
  "process.exit": { fixture: "exits-process", task: "leave-1", code: "WORKER_EXITED", message: /process\.exit\(3\)/ },
  "an uncaught error": {
    fixture: "throws-uncaught",
    task: "open-1",
    code: "WORKER_UNCAUGHT",
    message: /the socket fell over/,
  },
  "a lost promise": {
    fixture: "loses-promise",
    task: "lose-1",
    code: "WORKER_UNCAUGHT",
    message: /nobody awaits this/,
  },
  "too large a heap": { fixture: "grows-heap", task: "grow-1", code: "WORKER_OUT_OF_MEMORY", message: /32 MiB/ },
};

for (const [what, { fixture, task, code, message }] of Object.entries(deaths)) {
  t.test(`${what} ends the run and its task in Failed with the true cause, and the neighbour in Success`, async (t) => {
    const bed = await openAgentBed(t, home);
    const neighbour = await bed.create("sleeps", { ms: 400 });
    const id = await bed.create(fixture);
    await bed.agent({ once: true }).run();
    const run = await bed.flowRun(id);
    t.equal(run.state, "Failed");
    t.match(run.message, message);
    const { flow_run } = await bed.cloud.query<{ flow_run: { serialized_state: unknown }[] }>(
      "query ($id: UUID) { flow_run(where: { id: { _eq: $id } }) { serialized_state } }",
      { id },
    );
    t.match(flow_run[0]?.serialized_state, { context: { error: { code, hint: String } } });
    t.match(await bed.taskRuns(id), [{ taskSlug: task, state: "Failed", message, version: 3 }]);
    t.match((await bed.logs(id)).at(-1), { level: "ERROR", message: new RegExp(`^${code}: `) });
    t.equal((await bed.flowRun(neighbour)).state, "Success");
  });
}

t.test("what was not reached when the thread died is closed too", async (t) => {
  const bed = await openAgentBed(t, home);
  const id = await bed.create("exits-midway");
  await bed.agent({ once: true }).run();
  const states = Object.fromEntries((await bed.taskRuns(id)).map(({ taskSlug, state }) => [taskSlug, state]));
  t.same(states, { "before-1": "Success", "leave-1": "Failed", "after-1": "Cancelled" });
});

t.test("a run that fails before its first task leaves none waiting", async (t) => {
  const bed = await openAgentBed(t, home);
  const id = await bed.create("refuses-parameter", { n: "two" });
  await bed.agent({ once: true }).run();
  t.match(await bed.flowRun(id), { state: "Failed", message: /must be a number/ });
  t.same(new Set((await bed.taskRuns(id)).map(({ state }) => state)), new Set(["Cancelled"]));
});

t.test("code that goes on for ever after its run's end costs its thread, not the run", async (t) => {
  const bed = await openAgentBed(t, home);
  const id = await bed.create("lingers");
  const agent = bed.agent({ threads: 1 });
  await agent.start();
  t.equal((await bed.reached(id)).state, "Success");
  const next = await bed.create("hello");
  await bed.deploy("hello");
  const other = bed.agent({ threads: 1 });
  await other.start();
  t.equal((await bed.reached(next)).state, "Success");
  await eventually(() => agent.activeRuns.length === 0);
  t.match(bed.lines.join("\n"), /ended in Success; its thread was replaced/);
});

for (const fixture of ["hostile-looks-around", "hostile-patches", "hostile-sends"]) {
  t.test(`a flow that means harm does none to the agent nor the run beside it: ${fixture}`, async (t) => {
    const bed = await openAgentBed(t, home);
    const neighbour = await bed.create("sleeps", { ms: 400 });
    const ids = [await bed.create(fixture), await bed.create(fixture), await bed.create(fixture)];
    await bed.agent({ once: true }).run();
    for (const id of ids) {
      t.equal((await bed.flowRun(id)).state, "Success");
      t.match(await bed.logs(id), [{ message: /^(found: |ports: 0|sent: )$/ }]);
    }
    t.equal((await bed.flowRun(neighbour)).state, "Success");
  });
}
