import { buildSchema, type GraphQLSchema, getVariableValues, Kind, type OperationDefinitionNode, parse } from "graphql";
import t from "tap";
import { VariableReaders } from "../../src/server/api/coerce-variables.js";
import { schemaText } from "../../src/server/api/schema.js";

const types = buildSchema(`
  scalar Any
  enum Colour { RED GREEN }
  input Leaf { name: String! size: Int = 7 weight: Float on: Boolean any: Any colour: Colour id: ID }
  input Tree { leaf: Leaf leaves: [Leaf!] deep: [[Int]] children: [Tree!] must: [String!]! }
  input Either @oneOf { a: Int b: String }
  type Query { ask(tree: Tree, either: Either, leaf: Leaf, list: [Int!], text: String): Int }`);

function operationOf(text: string): OperationDefinitionNode {
  const [operation] = parse(text).definitions;
  if (operation?.kind !== Kind.OPERATION_DEFINITION) throw new Error("no operation");
  return operation;
}

/** What graphql-js makes of the same: values and texts of errors, as plain data. */
function both(schema: GraphQLSchema, operation: OperationDefinitionNode, sent: Record<string, unknown>) {
  const ours = new VariableReaders(schema).of(operation)(sent);
  const theirs = getVariableValues(schema, operation.variableDefinitions ?? [], sent, { maxErrors: 50 });
  const plain = (values: unknown) => (values === undefined ? undefined : JSON.parse(JSON.stringify(values)));
  return {
    ours: "errors" in ours ? ours.errors.map((each) => each.message) : plain(ours.values),
    theirs: theirs.errors ? theirs.errors.map((each) => each.message) : plain(theirs.coerced),
  };
}

/** Whole numbers below a limit, the same ones for the same seed (mulberry32). */
function randomFrom(seed: number): (below: number) => number {
  let at = seed;
  return (below) => {
    at = (at + 0x6d2b79f5) | 0;
    let mixed = Math.imul(at ^ (at >>> 15), 1 | at);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

t.test("values and errors are graphql-js's own, whatever is sent", async (t) => {
  const random = randomFrom(20_261_123);
  const operation = operationOf(`query ($tree: Tree, $must: Tree!, $either: Either, $leaf: Leaf = {name: "x"},
    $list: [Int!] = [1], $text: String = "t", $plain: String!) { ask(tree: $tree) }`);
  let accepted = 0;
  for (let round = 0; round < 20_000; round += 1) {
    const value = (depth: number): unknown => {
      const kind = random(depth > 3 ? 8 : 12);
      if (kind < 8) return [null, undefined, 1, 2.5, "RED", true, "", 2 ** 40][kind];
      if (kind === 8) return Array.from({ length: random(3) }, () => value(depth + 1));
      return kind === 9 ? either(depth) : tree(depth);
    };
    /** Mostly as the type wants it. */
    const often = (right: unknown, depth: number): unknown => (random(12) === 0 ? value(depth) : right);
    const either = (depth: number) => (random(2) === 0 ? { a: often(1, depth) } : { a: 1, b: "both" });
    const leaf = (depth: number) => ({
      name: often("n", depth),
      ...(random(2) === 0 ? { size: often(random(10), depth), colour: often("GREEN", depth) } : {}),
      ...(random(2) === 0 ? { any: value(depth + 1), on: often(true, depth), weight: often(1, depth) } : {}),
      ...(random(40) === 0 ? { unknown: 1 } : {}),
    });
    const tree = (depth: number): unknown => ({
      must: often(["a"], depth),
      ...(random(2) === 0 ? { leaf: often(leaf(depth + 1), depth), deep: often([[1, null], null], depth) } : {}),
      ...(random(2) === 0 ? { leaves: often([leaf(depth + 1)], depth) } : {}),
      ...(random(3) === 0 && depth < 3 ? { children: often([tree(depth + 1)], depth) } : {}),
    });
    const sent: Record<string, unknown> = { must: often(tree(0), 0), plain: often("p", 0) };
    if (random(2) === 0) sent.tree = often(tree(0), 0);
    if (random(4) === 0) sent.either = either(0);
    if (random(2) === 0) sent.leaf = often(leaf(0), 0);
    if (random(2) === 0) sent.list = often([1, 2], 0);
    if (random(4) === 0) sent.text = often("u", 0);
    const { ours, theirs } = both(types, operation, sent);
    if (JSON.stringify(ours) !== JSON.stringify(theirs)) {
      t.strictSame(ours, theirs, JSON.stringify(sent));
      break;
    }
    if (!Array.isArray(ours)) accepted += 1;
  }
  t.ok(accepted > 2_000 && accepted < 18_000, `${accepted} of 20,000 were right`);
});

t.test("names of Object's own are fields like others", async (t) => {
  const operation = operationOf("query ($must: Tree!) { ask(tree: $must) }");
  for (const name of ["__proto__", "constructor", "toString", "hasOwnProperty"]) {
    const sent = JSON.parse(`{"must": {"must": [], "${name}": {"leaf": 1}}}`);
    const { ours, theirs } = both(types, operation, sent);
    t.strictSame(ours, theirs, name);
    t.match(ours, [new RegExp(name)]);
  }
});

t.test("a report of states is read as it is", async (t) => {
  const schema = buildSchema(schemaText);
  const operation = operationOf(
    "mutation ($input: report_states_input!) { report_states(input: $input) { cancelling } }",
  );
  const state = { at: "2026-11-23T10:53:48.586Z", state: { type: "Running", message: null } };
  const input = {
    agent_id: "a",
    stream_id: "s",
    batch: 1,
    runs: [{ flow_run_id: "r", fence: 1, states: [state], logs: [] }],
  };
  const { ours, theirs } = both(schema, operation, { input });
  t.strictSame(ours, { input });
  t.strictSame(theirs, { input });
});
