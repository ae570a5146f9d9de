import { writeFile } from "node:fs/promises";
import nodeModule from "node:module";
import { join } from "node:path";
import t, { type Test } from "tap";
import type { RegisteredFlow } from "../../src/client/cloud.js";
import { openCloud } from "../../src/client/cloud-client.js";
import { compareWithDeployed } from "../../src/deploy/compare.js";
import { deployModule } from "../../src/deploy/deploy.js";
import { saveModule } from "../../src/deploy/save.js";
import { loadSavedFlow } from "../../src/execute/load-saved-flow.js";
import { scheduleEvents } from "../../src/schedule/schedule-events.js";
import { fromSerializedSchedule } from "../../src/schedule/serialized-schedule.js";
import { fixture, runProgram, userProject } from "../helpers/fixture.js";
import { temporaryHome } from "../helpers/home.js";
import { listeningCloud } from "../helpers/listening-cloud.js";
import { startTestCloud } from "../helpers/server.js";

await temporaryHome(t);

const flowText = (schedule: string, parameter = "") => `
import { flow, parameter, schedules, task } from "millrace";
const work = task("work", (value) => value);
export const report = flow("report", { schedule: ${schedule} }, () => work(${parameter || "1"}));
`;

async function project(t: Test, schedule: string, parameter?: string): Promise<string> {
  return join(await userProject(t, { "flow.mjs": flowText(schedule, parameter) }), "flow.mjs");
}

t.test(
  "a deployed flow's schedule reaches the Cloud as Prefect writes it, and makes the same events there",
  async (t) => {
    const { url, token, rows } = await startTestCloud(t);
    const cloud = openCloud({ url, token });
    t.teardown(() => cloud.close());
    await deployModule(fixture("scheduled.ts"), "Sales", { cloud, createProject: true });
    const [row] = await rows<{ schedule: string; is_schedule_active: number }>(
      "SELECT schedule, is_schedule_active FROM flow",
    );
    t.equal(row!.is_schedule_active, 1);
    const serialized = JSON.parse(row!.schedule);
    t.match(serialized, {
      clocks: [
        {
          type: "CronClock",
          cron: "0 9 * * *",
          start_date: { tz: "Europe/Berlin" },
          parameter_defaults: { name: "Berlin" },
        },
      ],
      filters: [{ fn: "prefect.schedules.filters.is_weekday", kwargs: {} }],
    });
    t.match(scheduleEvents(fromSerializedSchedule(serialized), { after: "2026-03-27T12:00", limit: 2 }), [
      { startAt: "2026-03-30T07:00:00.000Z", parameterDefaults: { name: "Berlin" } },
      { startAt: "2026-03-31T07:00:00.000Z" },
    ]);
    const registered = await cloud.latestFlow("Sales", "scheduled");
    t.match(
      registered?.spec.schedule,
      { clocks: [{ kind: "cron", timeZone: "Europe/Berlin" }] },
      "and comes back as it was",
    );
  },
);

t.test("a changed schedule makes a new version, an unchanged one does not", async (t) => {
  const cloud = listeningCloud({ projects: ["Sales"] });
  const file = await project(t, 'schedules.cron("0 9 * * *")');
  t.match(await deployModule(file, "Sales", { cloud }), [{ version: 1, created: true }]);
  t.match(await deployModule(file, "Sales", { cloud }), [{ version: 1, created: false }]);
  await writeFile(file, flowText('schedules.cron("0 10 * * *")'));
  t.match(await deployModule(file, "Sales", { cloud }), [{ version: 2, created: true }]);
});

t.test("a schedule that came from outside the code shows when a flow is compared with the deployed one", async (t) => {
  const file = await project(t, "schedules.cron(process.env.npm_config_cron ?? '0 9 * * *')");
  const cloud = listeningCloud({ projects: ["Sales"] });
  await deployModule(file, "Sales", { cloud, env: { npm_config_cron: "0 10 * * *" } });
  const [{ location, hash }] = (await saveModule(file)) as [Awaited<ReturnType<typeof saveModule>>[0]];
  const { flow } = await loadSavedFlow(location.location, hash);
  t.same(await compareWithDeployed({ ...flow, sourceFile: file }, cloud.flows[0] as unknown as RegisteredFlow), [
    { kind: "schedule changed", slug: "(flow)", before: "cron 0 10 * * *", after: "cron 0 9 * * *" },
  ]);
});

const refused: [title: string, schedule: string, parameter: string | undefined, message: RegExp, saves: boolean][] = [
  ["cron text that cannot be read", 'schedules.cron("61 * * * *")', undefined, /"61 \* \* \* \*"/, false],
  [
    "a rule that never comes true",
    'schedules.rrule("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30")',
    undefined,
    /names no date/,
    false,
  ],
  ["runs 30 s apart", 'schedules.interval({ every: "30s" })', undefined, /"report".*60 s/, true],
  ["a required parameter without a value", 'schedules.cron("0 9 * * *")', 'parameter("day")', /"day"/, true],
];
for (const [title, schedule, parameter, message, saves] of refused) {
  t.test(`a flow with ${title} is not deployed${saves ? ", though it may be saved" : ", nor saved"}`, async (t) => {
    const cloud = listeningCloud({ projects: ["Sales"] });
    const file = await project(t, schedule, parameter);
    await t.rejects(deployModule(file, "Sales", { cloud }), { code: "SCHEDULE_INVALID", message });
    t.same(cloud.calls, [], "and the Cloud hears nothing of it");
    const saved = saveModule(file);
    await (saves ? t.resolves(saved) : t.rejects(saved, { code: "SCHEDULE_INVALID", message }));
  });
}

t.test("a module that serves its flow at its top level can be deployed", async (t) => {
  const cloud = listeningCloud({ projects: ["Sales"] });
  const file = await project(t, 'schedules.cron("0 9 * * *")');
  await writeFile(
    file,
    `${flowText('schedules.cron("0 9 * * *")')}\nawait report.serve();\nthrow new Error("served");\n`,
  );
  t.match(await deployModule(file, "Sales", { cloud }), [{ version: 1 }]);
});

const cannotListen = "registerHooks" in nodeModule ? false : "module.registerHooks came with Node 22.15";
t.test(
  "loading a flow with a schedule loads none of the libraries that read schedules",
  { skip: cannotListen },
  async (t) => {
    const file = await project(t, 'schedules.cron("0 9 * * *", { timeZone: "Europe/Berlin" })');
    const program = `
    import { registerHooks } from "node:module";
    const loaded = [];
    registerHooks({ load(url, context, next) { loaded.push(url); return next(url, context); } });
    const { report } = await import("./flow.mjs");
    const before = loaded.filter((url) => /croner|rrule-temporal|src\\/schedule\\//.test(url)).length;
    const stop = new AbortController();
    stop.abort();
    await report.serve({ signal: stop.signal });
    const after = loaded.filter((url) => /croner|rrule-temporal/.test(url)).length;
    console.log(before, after > 1);
  `;
    await writeFile(join(file, "../probe.mjs"), program);
    t.equal(await runProgram(join(file, ".."), "probe.mjs"), "0 true");
  },
);
