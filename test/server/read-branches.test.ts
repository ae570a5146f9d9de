import t from "tap";
import { openReadWorld, uuid } from "../helpers/read-world.js";

const world = await openReadWorld(t.testdir());
t.after(() => world.close());

async function names(args: string): Promise<string> {
  const { data, errors } = await world.ask(`{ flow_run(${args}) { name } }`);
  if (errors) throw errors[0];
  return (data!.flow_run as { name: string }[]).map(({ name }) => name).join();
}

const OF_ORDERS = 'flow: {name: {_eq: "orders"}}';

t.test("the newest runs of several flows are found flow by flow, and answered as one list", async (t) => {
  t.equal(
    await names(`where: {${OF_ORDERS}}, order_by: {created: desc}`),
    "%odd-7,green_1-6,red-4,%odd-3,Blue-1,red-0",
  );
  t.equal(world.statements(), 2, "the flows, and their runs");
  t.equal(await names(`where: {${OF_ORDERS}}, order_by: {created: desc}, limit: 3`), "%odd-7,green_1-6,red-4");
  t.equal(await names(`where: {${OF_ORDERS}}, order_by: {created: desc}, limit: 2, offset: 2`), "red-4,%odd-3");
  t.equal(
    await names(`where: {_and: [{${OF_ORDERS}}, {state: {_eq: "Running"}}]}, order_by: {created: asc}`),
    "Blue-1,red-4",
  );
  t.equal(await names(`where: {${OF_ORDERS}}, order_by: {created: desc}, limit: 0`), "");
});

t.test("no such flow, another tenant's, and any flow", async (t) => {
  t.equal(await names('where: {flow: {name: {_eq: "nobody"}}}, order_by: {created: desc}'), "");
  t.equal(world.statements(), 1, "without flows there are no runs to look for");
  t.equal(await names(`where: {flow: {id: {_eq: "${uuid(4, 2, 0)}"}}}, order_by: {created: desc}`), "");
  t.equal(await names("where: {flow: {name: {_eq: null}}}, order_by: {created: desc}, limit: 1"), "%odd-7");
  t.equal(world.statements(), 1);
});

t.test("what is said under _or and _not is no reason to look for flows", async (t) => {
  const either = `where: {_or: [{${OF_ORDERS}}, {name: {_eq: "green_1-2"}}]}, order_by: {created: asc}, limit: 3`;
  t.equal(await names(either), "red-0,Blue-1,green_1-2");
  t.equal(await names(`where: {_not: {${OF_ORDERS}}}, order_by: {created: asc}`), "green_1-2,Blue-5");
  t.equal(world.statements(), 1);
});
