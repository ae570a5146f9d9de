import { type GraphQLScalarType, type GraphQLSchema, valueFromASTUntyped } from "graphql";
import { MillraceError } from "../../core/errors.js";
import { isType, type StateType, stateColors, stateTypes } from "../../core/state.js";
import type { RootResolvers } from "./read-resolvers.js";

/** The roots that are no table's: what Prefect's user interface reads beside the tables. */
export const readFunctionTypeDefs = `
"Ids, as a list or as Postgres writes one: {a,b}."
scalar _uuid

input utility_traversal_args {
  start_task_ids: _uuid!
  "How many edges away; 50 are the most."
  depth_limit: Int = 50
}
type mapped_children {
  min_start_time: DateTime
  max_end_time: DateTime
  "How many children there are in each state."
  state_counts: JSON!
}
type reference_data {
  "Of each state, those that it is a kind of, the nearest first."
  state_hierarchy: JSON!
  "Of each state, its color and its parent."
  state_info: JSON!
}

extend type Query {
  "The tasks that these ones depend on, by the longest way."
  utility_upstream_tasks(args: utility_traversal_args!, where: utility_traversal_bool_exp, order_by: [utility_traversal_order_by!], limit: Int, offset: Int, distinct_on: [utility_traversal_select_column!]): [utility_traversal!]!
  "The tasks that depend on these ones, by the longest way."
  utility_downstream_tasks(args: utility_traversal_args!, where: utility_traversal_bool_exp, order_by: [utility_traversal_order_by!], limit: Int, offset: Int, distinct_on: [utility_traversal_select_column!]): [utility_traversal!]!
  "The children of a mapped task run."
  mapped_children(task_run_id: UUID!): mapped_children!
  "What the names of states mean."
  reference_data: reference_data!
}
`;

/** Gives those roots their functions. */
export function addReadFunctions(schema: GraphQLSchema, resolvers: RootResolvers): void {
  const query = schema.getQueryType()!.getFields();
  query.utility_upstream_tasks!.resolve = resolvers.traversal("upstream");
  query.utility_downstream_tasks!.resolve = resolvers.traversal("downstream");
  query.mapped_children!.resolve = resolvers.mappedChildren();
  query.reference_data!.resolve = () => ({ state_hierarchy: hierarchy, state_info: info });
  const ids = schema.getType("_uuid") as GraphQLScalarType;
  ids.parseValue = readIds;
  ids.parseLiteral = (node, variables) => readIds(valueFromASTUntyped(node, variables));
}

function readIds(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  const inner = typeof value === "string" ? /^\{(.*)\}$/s.exec(value.trim())?.[1] : undefined;
  if (inner === undefined) {
    const found = JSON.stringify(value)?.slice(0, 80);
    throw new MillraceError("INPUT_INVALID", `A list of ids was asked for, and ${found} was found.`, {
      hint: 'Send ["…", "…"], or "{…,…}".',
    });
  }
  return inner.trim() === "" ? [] : inner.split(",").map((id) => id.trim());
}

/** What a state is a kind of, up to `State`, which they all are. */
function familyOf(type: StateType): string[] {
  const families = stateTypes.filter((other) => other !== type && isType(type, other));
  return [...families.sort((a, b) => (isType(a, b) ? -1 : 1)), "State"];
}

const hierarchy = Object.fromEntries(stateTypes.map((type) => [type, familyOf(type)]));
const info = Object.fromEntries(
  stateTypes.map((type) => [type, { color: stateColors[type], parent: familyOf(type)[0] }]),
);
