import t from "tap";
import { newId } from "../../src/core/ids.js";
import { addSecondTenant } from "../helpers/second-tenant.js";
import { deployFlow, refusalOf, startTestCloud, TestAgent } from "../helpers/server.js";

const ARTIFACTS = `{ task_run(where: {artifacts: {}}) { task { slug } artifacts(order_by: {kind: asc}) { kind data } } }`;
const MAX_DATA_BYTES = 1_000_000;

async function startWithTaskRun(t: Parameters<typeof startTestCloud>[0]) {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud, { tasks: ["a-1"] });
  await cloud.call("create_flow_run", { flow_id: flowId });
  const run = await (await TestAgent.register(cloud)).claimOne();
  return { cloud, task_run_id: run.task_runs[0]!.id, flow_run_id: run.flow_run_id };
}

t.test("artifacts are kept with their task run, changed, read and deleted", async (t) => {
  const { cloud, task_run_id } = await startWithTaskRun(t);
  const link = { task_run_id, kind: "link", data: { link: "https://example.com/report" } };
  const { id } = await cloud.call("create_task_run_artifact", link);
  await cloud.call("create_task_run_artifact", { task_run_id, kind: "markdown", data: { markdown: "# Done ✓" } });
  const read = async () => (await cloud.ask(ARTIFACTS)).body.data?.task_run;
  t.same(await read(), [
    {
      task: { slug: "a-1" },
      artifacts: [
        { kind: "link", data: { link: "https://example.com/report" } },
        { kind: "markdown", data: { markdown: "# Done ✓" } },
      ],
    },
  ]);
  const change = { task_run_artifact_id: id, data: { link: "https://example.com/other" } };
  for (const _ of [1, 2]) t.match(await cloud.call("update_task_run_artifact", change), { success: true });
  t.match(await read(), [{ artifacts: [{ data: { link: "https://example.com/other" } }, { kind: "markdown" }] }]);
  t.same(await cloud.call("delete_task_run_artifact", { task_run_artifact_id: id }), { success: true, error: null });
  const again = await cloud.call("delete_task_run_artifact", { task_run_artifact_id: id });
  t.match(again, { success: false, error: /was not found/ });
  t.match(await refusalOf(cloud.call("update_task_run_artifact", change)), { message: /was not found/ });
  t.match(await read(), [{ artifacts: [{ kind: "markdown" }] }]);
});

t.test("an artifact under an id of the sender's is made once, however often it is sent", async (t) => {
  const { cloud, task_run_id, flow_run_id } = await startWithTaskRun(t);
  const id = newId();
  const input = { id, task_run_id, kind: "link", data: { link: "a" } };
  const answers = await Promise.all([1, 2, 3].map(() => cloud.call("create_task_run_artifact", input)));
  t.same(answers, Array(3).fill({ id }));
  t.equal((await cloud.rows("SELECT id FROM task_run_artifact")).length, 1);

  const { flowId } = await deployFlow(cloud, { name: "other", tasks: ["z-1"] });
  const { id: otherRun } = await cloud.call("create_flow_run", { flow_id: flowId });
  const run = await (await TestAgent.register(cloud, "second")).claimOne();
  t.equal(run.flow_run_id, otherRun);
  const taken = cloud.call("create_task_run_artifact", { ...input, task_run_id: run.task_runs[0]!.id });
  t.match(await refusalOf(taken), { code: "INPUT_INVALID", message: /the id .* is another artifact's/ });

  await cloud.call("delete_flow_run", { flow_run_id });
  t.same(await cloud.rows("SELECT id FROM task_run_artifact"), [], "they go with their run");
});

t.test("what is too large, no object, of no task run or of another tenant is refused", async (t) => {
  const { cloud, task_run_id } = await startWithTaskRun(t);
  const other = await addSecondTenant(cloud, "2026-11-23T10:00:00.000Z");
  const create = (more: object, headers?: Record<string, string>) =>
    cloud.call("create_task_run_artifact", { task_run_id, kind: "link", data: { link: "a" }, ...more }, headers);
  const around = JSON.stringify({ markdown: "" }).length;
  // Bytes and not characters: of these, each has two.
  const full = { markdown: "é".repeat((MAX_DATA_BYTES - around - 1) / 2) };
  const { id } = await create({ data: { markdown: `${full.markdown}x` } });
  const larger = { markdown: `${full.markdown}xx` };
  const tooLarge = { code: "INPUT_INVALID", message: /is 1000001 bytes of JSON, and may have at most 1000000/ };
  t.match(await refusalOf(create({ data: larger })), tooLarge);
  const grown = cloud.call("update_task_run_artifact", { task_run_artifact_id: id, data: larger });
  t.match(await refusalOf(grown), tooLarge);
  for (const data of [["link"], "link", 1, null]) t.ok((await refusalOf(create({ data }))).message, String(data));
  t.match(await refusalOf(create({ kind: "" })), { message: /`kind` has 1 to 255 characters, and is empty/ });
  t.match(await refusalOf(create({ tenant_id: newId() })), { code: "FORBIDDEN" });
  // Prefect's client tries again when it reads these words: its task run may not be there yet.
  t.match(await refusalOf(create({ task_run_id: newId() })), { message: /not found/ });
  t.match(await refusalOf(create({}, other)), { message: /not found/ });
  const theirs = { task_run_artifact_id: id, data: { link: "b" } };
  t.match(await refusalOf(cloud.call("update_task_run_artifact", theirs, other)), { message: /not found/ });
  t.match(await cloud.call("delete_task_run_artifact", { task_run_artifact_id: id }, other), { success: false });
  t.same((await cloud.ask("{ task_run_artifact { id } }", {}, other)).body.data, { task_run_artifact: [] });
  t.equal((await cloud.rows("SELECT id FROM task_run_artifact")).length, 1);
});
