import {
  type FieldNode,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLResolveInfo,
  GraphQLSkipDirective,
  getArgumentValues,
  getDirectiveValues,
  getNamedType,
  type SelectionNode,
} from "graphql";
import { infoOf, type TableInfo } from "../../db/read/describe-tables.js";
import {
  type AggregateFunction,
  type AggregateRead,
  type AggregateValue,
  aggregateKey,
  type Filter,
  type ListRead,
  type RelationRead,
  type RowRead,
  wholeList,
} from "../../db/read/read-request.js";
import type { OperationCost } from "./read-limits.js";
import { readOrder } from "./read-order.js";

/** What a selection is read with: the operation it stands in, the variables as they were sent, and what it has cost. */
export interface SelectionContext {
  operation: Pick<GraphQLResolveInfo, "fragments" | "operation" | "variableValues" | "schema">;
  /** As the request had them; undefined where that is not known. */
  sentVariables: Readonly<Record<string, unknown>> | undefined;
  cost: OperationCost;
}

type Fields = ReadonlyMap<string, readonly FieldNode[]>;

/**
 * A selection of the table's type as columns and relations to read.
 * @param above How many rows it is about, by estimate.
 * @throws INPUT_INVALID for a selection above the limits
 */
export function readSelection(
  context: SelectionContext,
  info: TableInfo,
  nodes: readonly FieldNode[],
  above: number,
  depth: number,
): RowRead {
  const columns: string[] = [];
  const relations: RelationRead[] = [];
  for (const [answerKey, fields] of selectedFields(context, nodes, depth)) {
    const name = fields[0]!.name.value;
    if (info.columns.has(name)) columns.push(name);
    else if (name !== "__typename") relations.push(readRelation(context, info, answerKey, fields, above, depth));
  }
  return { columns, relations };
}

/** The arguments of a list. */
export function readListArguments(context: SelectionContext, parent: GraphQLObjectType, node: FieldNode): ListRead {
  const field = parent.getFields()[node.name.value]!;
  const found = getArgumentValues(field, node, context.operation.variableValues);
  return {
    where: (found.where ?? null) as Filter | null,
    orderBy: readOrder(context, node),
    limit: (found.limit ?? null) as number | null,
    offset: (found.offset ?? 0) as number,
    distinctOn: (found.distinct_on ?? []) as string[],
  };
}

function readRelation(
  context: SelectionContext,
  info: TableInfo,
  answerKey: string,
  fields: readonly FieldNode[],
  above: number,
  depth: number,
): RelationRead {
  const node = fields[0]!;
  const aggregates = !info.relations.has(node.name.value);
  const name = aggregates ? node.name.value.replace(/_aggregate$/, "") : node.name.value;
  const relation = info.relations.get(name)!;
  const to = infoOf(relation.to);
  if (!relation.many) {
    const rows = readSelection(context, to, fields, context.cost.add(above, "one"), depth + 1);
    return { answerKey, relation, answer: "row", list: wholeList, rows };
  }
  const parent = getNamedType(context.operation.schema.getType(info.name)) as GraphQLObjectType;
  const list = readListArguments(context, parent, node);
  if (aggregates) {
    const read = readAggregateSelection(context, to, fields, { above, list, depth: depth + 1 });
    return { answerKey, relation, answer: "aggregate", list, aggregates: read };
  }
  const rows = readSelection(context, to, fields, context.cost.add(above, list), depth + 1);
  return { answerKey, relation, answer: "rows", list, rows };
}

/**
 * A selection of an `_aggregate`.
 * @param place How many lists it is about (null: the one at the root), the list, and how deep it stands.
 * @throws INPUT_INVALID for a selection above the limits
 */
export function readAggregateSelection(
  context: SelectionContext,
  info: TableInfo,
  nodes: readonly FieldNode[],
  { above, list, depth }: { above: number | null; list: ListRead; depth: number },
): AggregateRead {
  const values = new Map<string, AggregateValue>();
  const rows: { answerKey: string; rows: RowRead }[] = [];
  context.cost.add(above, "one");
  for (const [answerKey, fields] of selectedFields(context, nodes, depth)) {
    const name = fields[0]!.name.value;
    if (name === "aggregate") {
      for (const value of readValues(context, info, fields, depth + 1)) values.set(aggregateKey(value), value);
    } else if (name === "nodes") {
      const below = context.cost.add(above, list);
      rows.push({ answerKey, rows: readSelection(context, info, fields, below, depth + 1) });
    }
  }
  return { values: [...values.values()], nodes: rows };
}

function readValues(
  context: SelectionContext,
  info: TableInfo,
  nodes: readonly FieldNode[],
  depth: number,
): AggregateValue[] {
  const values: AggregateValue[] = [];
  const type = context.operation.schema.getType(`${info.name}_aggregate_fields`) as GraphQLObjectType;
  for (const fields of selectedFields(context, nodes, depth).values()) {
    const fn = fields[0]!.name.value;
    if (fn === "count") {
      const given = getArgumentValues(type.getFields().count!, fields[0]!, context.operation.variableValues);
      values.push(countOf(given));
    } else if (fn !== "__typename") {
      for (const [column] of selectedFields(context, fields, depth + 1).values()) {
        if (column!.name.value === "__typename") continue;
        values.push({ fn: fn as AggregateFunction, columns: [column!.name.value], distinct: false });
      }
    }
  }
  return values;
}

/** What `count` with these arguments asks for. */
export function countOf(given: Readonly<Record<string, unknown>>): AggregateValue {
  const columns = (given.columns ?? []) as string[];
  return { fn: "count", columns, distinct: given.distinct === true && columns.length > 0 };
}

/** The fields of all nodes together, by the key of their answer, with fragments and @skip and @include applied. */
function selectedFields(context: SelectionContext, nodes: readonly FieldNode[], depth: number): Fields {
  context.cost.checkDepth(depth);
  const fields = new Map<string, FieldNode[]>();
  const spread = new Set<string>();
  for (const node of nodes) collect(context, node.selectionSet?.selections ?? [], fields, spread);
  return fields;
}

function collect(
  context: SelectionContext,
  selections: readonly SelectionNode[],
  fields: Map<string, FieldNode[]>,
  spread: Set<string>,
): void {
  for (const node of selections) {
    if (isLeftOut(context, node)) continue;
    if (node.kind === "Field") {
      const key = node.alias?.value ?? node.name.value;
      const known = fields.get(key);
      if (known) known.push(node);
      else fields.set(key, [node]);
    } else if (node.kind === "InlineFragment") {
      collect(context, node.selectionSet.selections, fields, spread);
    } else if (!spread.has(node.name.value)) {
      spread.add(node.name.value);
      collect(context, context.operation.fragments[node.name.value]!.selectionSet.selections, fields, spread);
    }
  }
}

function isLeftOut(context: SelectionContext, node: SelectionNode): boolean {
  if (!node.directives?.length) return false;
  const { variableValues } = context.operation;
  const skip = getDirectiveValues(GraphQLSkipDirective, node, variableValues);
  const include = getDirectiveValues(GraphQLIncludeDirective, node, variableValues);
  return skip?.if === true || include?.if === false;
}
