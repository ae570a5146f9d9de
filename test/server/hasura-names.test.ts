import t from "tap";
import { deployFlow, startTestCloud } from "../helpers/server.js";

t.test("variables may be declared by Hasura's names of their types", async (t) => {
  const cloud = await startTestCloud(t);
  const { flowId } = await deployFlow(cloud);
  const { id } = await cloud.call("create_flow_run", { flow_id: flowId });
  const query = `query FailedOnes($run: uuid, $ids: [uuid!]!, $since: timestamptz, $labels: jsonb) {
    flow_run(where: {id: {_eq: $run, _in: $ids}, created: {_gte: $since}, labels: {_contains: $labels}}) { id } }`;
  const { status, body } = await cloud.ask(query, { run: id, ids: [id], since: "2020-01-01", labels: ["host"] });
  t.same([status, body], [200, { data: { flow_run: [{ id }] } }]);
  const wrong = await cloud.ask(query, { ids: ["no id"] });
  t.match(wrong.body.errors?.[0]?.message, /\$ids.*no id.*UUID/s, "their values are read as ours are");
  t.same((await cloud.ask(query, { run: null, ids: [id] })).body, { data: { flow_run: [{ id }] } });
});

t.test("names that nobody has stay unknown, and a text of such a form is left alone", async (t) => {
  const cloud = await startTestCloud(t);
  const unknown = await cloud.ask("query ($a: uuid, $b: numeric) { flow_run(where: {id: {_eq: $a}}) { id } }");
  t.equal(unknown.status, 400);
  t.match(unknown.body.errors?.[0]?.message, /numeric/);
  const { body } = await cloud.ask('{ project(where: {name: {_eq: "$x: uuid"}}) { name } }');
  t.same(body, { data: { project: [] } });
});
