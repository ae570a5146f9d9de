import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { answerQuestion } from "../../src/agent/answer-questions.js";
import { listLogs } from "../../src/client/run-reads.js";
import { openAgentBed } from "../helpers/agent-bed.js";
import { temporaryHome } from "../helpers/home.js";
import { postgresUrl } from "../helpers/test-database.js";

const TOKEN = 'tok-4711 "ä';
process.env.MILLRACE__CONTEXT__SECRETS__SECRETIVE_TOKEN = TOKEN;
const home = await temporaryHome(t);
const bed = await openAgentBed(t, home);

t.test("a run gets the secret that its flow declares, and what it tells of it is stars", async (t) => {
  const flowRunId = await bed.create("secretive", { paths: ["/a", "/fails"] });
  void bed.agent().start();
  const run = await bed.reached(flowRunId);
  t.equal(run.state, "Failed");
  const taskRuns = await bed.taskRuns(flowRunId);
  const of = (slug: string, index = -1) => taskRuns.find((each) => each.taskSlug === slug && each.mapIndex === index);
  t.equal(of("call-1", 0)?.state, "Success");
  t.equal(of("call-1", 1)?.state, "Failed");
  t.match(of("call-1", 1)?.message, "401 for *** at /fails");
  t.equal(of("SECRETIVE_TOKEN-1")?.state, "Success");

  const logs = (await listLogs(bed.cloud, flowRunId, { limit: 1_000 })).map((each) => each.message ?? "");
  t.ok(
    logs.some((line) => line.includes("GET /a with *** { authorization: 'Bearer ***' }")),
    logs.join("\n"),
  );
  t.ok(logs.includes("printed ***"), "what it printed as well");
  t.ok(logs.some((line) => /Error: 401 for \*\*\*/.test(line)));
});

t.test(
  "nothing on disk holds the value: no state, log, parameter or result of the Cloud's or the agent's",
  async (t) => {
    const needles = ["tok-4711", encodeURIComponent(TOKEN)];
    const files = await readdir(home, { recursive: true, withFileTypes: true });
    let looked = 0;
    for (const file of files.filter((each) => each.isFile())) {
      const text = await readFile(join(file.parentPath, file.name), "latin1");
      looked += 1;
      for (const needle of needles) t.notOk(text.includes(needle), `${file.name} holds ${needle}`);
    }
    // On Postgres the Cloud has no file of its own here.
    t.ok(looked > (postgresUrl ? 2 : 3), `${looked} files`);
  },
);

t.test("an agent answers what its flow's registration declares, whatever the thread asks for", async (t) => {
  const flow = await bed.cloud.latestFlow("Tests", "secretive");
  const { signal } = new AbortController();
  const asked = { cloud: bed.cloud, flowId: flow!.flowId, signal, made: new Set<string>(), flow: flow! };
  t.equal(await answerQuestion({ about: "secret", name: "SECRETIVE_TOKEN" }, asked), TOKEN);
  await t.rejects(answerQuestion({ about: "secret", name: "HOME" }, asked), {
    code: "SECRET_NOT_DECLARED",
    message: 'Flow "secretive" does not declare a secret "HOME".',
  });
  const { flow: _, ...unknown } = asked;
  await t.rejects(answerQuestion({ about: "secret", name: "SECRETIVE_TOKEN" }, unknown), {
    code: "SECRET_NOT_DECLARED",
  });
});

t.test("a secret that the agent does not have fails the task, and can be added while it runs", async (t) => {
  delete process.env.MILLRACE__CONTEXT__SECRETS__SECRETIVE_TOKEN;
  const create = async () => {
    const flowRunId = await bed.create("secretive", { paths: ["/a"] });
    return { flowRunId, run: await bed.reached(flowRunId) };
  };
  const without = await create();
  t.equal(without.run.state, "Failed");
  const failed = (await bed.taskRuns(without.flowRunId)).find(
    (each) => each.taskSlug === "call-1" && each.mapIndex === 0,
  );
  t.match(failed?.message, /There is no secret "SECRETIVE_TOKEN"/);
  const file = join(home, "secrets.json");
  await writeFile(file, JSON.stringify({ SECRETIVE_TOKEN: "from-the-file" }));
  await chmod(file, 0o600);
  t.equal((await create()).run.state, "Success");
});

t.test("the Cloud refuses parameters that the deployed flow's schema refuses, before there is a run", async (t) => {
  const cases: [Record<string, unknown>, string, RegExp][] = [
    [{ paths: ["/a", 5] }, "PARAMETER_INVALID", /"paths" at \[1\]: must be string, found 5/],
    [{ paths: [] }, "PARAMETER_INVALID", /must NOT have fewer than 1 items/],
    [{}, "PARAMETER_MISSING", /needs the parameter "paths"/],
    [{ paths: ["/a"], path: 1 }, "PARAMETER_UNKNOWN", /no parameter "path"/],
  ];
  for (const [parameters, code, message] of cases)
    await t.rejects(bed.create("secretive", parameters), { code, message, hint: /./ });
});
