import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { tableInfo } from "../src/db/read/describe-tables.js";
import { defaultReadLimits } from "../src/server/read/read-limits.js";
import { deployFlow, startTestCloud } from "./helpers/server.js";
import { repositoryFolder } from "./helpers/source-tree.js";

const page = readFileSync(join(repositoryFolder, "docs", "graphql-api.md"), "utf8");
const examples = [...page.matchAll(/^```graphql\n(.*?)^```/gms)].map((match) => match[1]!);

t.test("the page's queries are answered, and find what they say", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud, { name: "tides", tasks: ["a-1", "b-1"], labels: ["quay"] });
  const { id: run } = await cloud.call("create_flow_run", { flow_id: flowId, flow_run_name: "spring" });
  await cloud.call("cancel_flow_run", { flow_run_id: run });
  const [task] = await cloud.rows<{ id: string }>("SELECT id FROM task WHERE slug = 'a-1'");
  const [mapped] = await cloud.rows<{ id: string }>("SELECT id FROM task_run WHERE task_id = ?1", task!.id);
  const variables = { run, name: null, since: null, tasks: [task!.id], mapped: mapped!.id };
  t.equal(examples.length, 5);
  const found: Record<string, unknown>[] = [];
  for (const query of examples) {
    const names = [...query.matchAll(/\$(\w+):/g)].map((match) => match[1] as keyof typeof variables);
    const given = Object.fromEntries(names.map((name) => [name, variables[name]]));
    const { status, body } = await cloud.ask(query, given);
    t.equal(status, 200);
    t.equal(body.errors, undefined, query);
    found.push(body.data!);
  }
  t.match(found[1], { flow_run_by_pk: { labels: ["quay"], states: [{ state: "Scheduled" }, { state: "Cancelled" }] } });
  t.match(found[2], { flow_run: [{ name: "spring" }] }, "null operands let every row through");
  t.match(found[3], {
    project: [{ flows_aggregate: { aggregate: { count: 1, max: { version: 1 } } } }],
    failed: { aggregate: { count: 0, min: { start_time: null } }, nodes: [] },
  });
  t.match(found[4], {
    utility_downstream_tasks: [
      { depth: 0, task: { slug: "a-1" } },
      { depth: 1, task: { slug: "b-1" } },
    ],
    utility_upstream_tasks: [{ depth: 0 }],
    mapped_children: { state_counts: {} },
  });
});

t.test("the page names every table and the limits that hold", (t) => {
  for (const { name, table } of tableInfo.values()) {
    if (table !== "cloud_hook_delivery") t.match(page, `\`${name}\``, name);
  }
  const { maxDepth, defaultRows, maxRows, maxRowsRead, maxCost, maxStatements } = defaultReadLimits;
  const limits = page.slice(page.indexOf("## Limits"));
  for (const limit of [maxDepth, defaultRows, maxRows, maxRowsRead, maxCost, maxStatements]) {
    t.match(limits, new RegExp(`\\| ${limit.toLocaleString("en-US")} \\|`), `${limit}`);
  }
  t.end();
});
