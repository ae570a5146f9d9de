import t from "tap";
import { type CommandOptions, millrace } from "../helpers/command-line.js";
import { startTestCloud } from "../helpers/server.js";

/** The rows that the Cloud answers to a list that names no limit. */
const DEFAULT_ROWS = 1_000;

const cloud = await startTestCloud(t);
const options: CommandOptions = {
  home: t.testdir(),
  env: { MILLRACE_API_URL: cloud.url, MILLRACE_API_TOKEN: cloud.token },
};
const { id: projectId } = await cloud.call("create_project", { name: "P" });
const register = async (name: string, description = ""): Promise<string> => {
  const serialized_flow = { name, parameters: [], tasks: [], edges: [], description };
  return (await cloud.call("create_flow", { project_id: projectId, serialized_flow })).id;
};
const get = async (...words: string[]) => {
  const { code, stdout, stderr } = await millrace(["get", ...words, "--json"], options);
  t.equal(code, 0, stderr);
  return { rows: JSON.parse(stdout) as Record<string, unknown>[], stderr };
};

t.test("a flow with a thousand versions hides no other flow", async (t) => {
  for (let version = 1; version <= DEFAULT_ROWS; version++) await register("aaa", String(version));
  for (const name of ["bbb", "zzz"]) await register(name);
  const { rows, stderr } = await get("flows");
  t.same(
    rows.map(({ name, version }) => `${name} ${version}`),
    [`aaa ${DEFAULT_ROWS}`, "bbb 1", "zzz 1"],
  );
  t.equal(stderr, "");
  t.equal((await get("flows", "--all-versions", "--limit", "5000")).rows.length, DEFAULT_ROWS + 2);
});

t.test("a list that was cut says so", async (t) => {
  const cut = await get("flows", "--limit", "2");
  t.same(
    cut.rows.map(({ name }) => name),
    ["aaa", "bbb"],
  );
  t.equal(cut.stderr, "There are more than 2 flows: --limit shows up to 10000.\n");
  t.equal((await get("flows", "--limit", "3")).stderr, "");
  t.equal((await get("agents")).stderr, "There are no agents.\n");
});

t.test("by its name the run that has not ended is cancelled, not a newer one that has", async (t) => {
  const flowId = await register("cancelled");
  const ask = async (): Promise<string> =>
    (await cloud.call("create_flow_run", { flow_id: flowId, flow_run_name: "twin" })).id;
  const [first, second, third] = [await ask(), await ask(), await ask()];
  const cancel = (idOrName: string) => millrace(["cancel", idOrName], options);

  const refused = await cancel("twin");
  t.match(refused, { code: 1, stderr: /^USAGE: 3 flow runs named "twin" have not ended:/ });
  for (const id of [first, second, third]) t.match(refused.stderr, `\n  ${id}  cancelled  Scheduled`);
  for (const { state } of (await get("flow-runs", "--flow", "cancelled")).rows) t.equal(state, "Scheduled");

  for (const id of [second, third]) t.match(await cancel(id), { code: 0, stdout: /is now Cancelled/ });
  t.match(await cancel("twin"), { code: 0, stdout: /is now Cancelled/ });
  t.match((await get("flow-runs", "--flow", "cancelled")).rows.at(-1), { flowRunId: first, state: "Cancelled" });
  t.match(await cancel("twin"), { code: 0, stdout: /had ended before: Cancelled/ });
  t.match(await cancel("nobody"), { code: 1, stderr: /^FLOW_RUN_NOT_FOUND/ });
});
