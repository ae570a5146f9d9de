import { extendSchema, type GraphQLObjectType, type GraphQLSchema, parse } from "graphql";
import type { Database } from "../../db/database.js";
import {
  type ColumnInfo,
  infoOf,
  type RelationInfo,
  type TableInfo,
  tableInfo,
} from "../../db/read/describe-tables.js";
import { aggregated } from "../../db/read/read-aggregates.js";
import {
  type Aggregated,
  type AggregateFunction,
  aggregateKey,
  orderDirections,
  relationKey,
} from "../../db/read/read-request.js";
import { traversalInfo } from "../../db/read/read-traversal.js";
import { addReadFunctions, readFunctionTypeDefs } from "./read-functions.js";
import { defaultReadLimits, type ReadLimits } from "./read-limits.js";
import { makeRootResolvers } from "./read-resolvers.js";
import { countOf } from "./read-selection.js";

/*
 * The query roots that are read straight from tables, in the form that Hasura gave the protocol: made from the descriptions
 * in db/describe-tables.ts, none of it by hand. A table described there is a root here.
 */

export interface ReadApiOptions {
  database: Pick<Database, "read" | "kind" | "snapshot">;
  limits?: Partial<ReadLimits>;
}

/** The schema with the read API's types and query roots, and with the functions that answer them. */
export function addReadApi(schema: GraphQLSchema, { database, limits }: ReadApiOptions): GraphQLSchema {
  const whole = extendSchema(schema, parse(readTypeDefs()));
  const query = whole.getQueryType()!.getFields();
  const resolvers = makeRootResolvers(database, { ...defaultReadLimits, ...limits });
  for (const info of tableInfo.values()) {
    query[info.name]!.resolve = resolvers.list(info);
    query[aggregateName(info.name)]!.resolve = resolvers.aggregate(info);
    query[byKeyName(info.name)]!.resolve = resolvers.byKey(info);
    resolveRelations(whole, info);
    resolveAggregate(whole, info);
  }
  resolveRelations(whole, traversalInfo);
  addReadFunctions(whole, resolvers);
  return whole;
}

function fieldsOf(schema: GraphQLSchema, type: string) {
  return (schema.getType(type) as GraphQLObjectType).getFields();
}

function resolveRelations(schema: GraphQLSchema, info: TableInfo): void {
  const fields = fieldsOf(schema, info.name);
  for (const relation of info.relations.values()) {
    const names = relation.many ? [relation.name, aggregateName(relation.name)] : [relation.name];
    for (const name of names)
      fields[name]!.resolve = (row, _args, _context, { path }) => row[relationKey(`${path.key}`)];
  }
}

function resolveAggregate(schema: GraphQLSchema, info: TableInfo): void {
  const { aggregate, nodes } = fieldsOf(schema, aggregateName(info.name));
  aggregate!.resolve = ({ values }: Aggregated) => values;
  nodes!.resolve = (found: Aggregated, _args, _context, { path }) => found.nodes.get(`${path.key}`);
  for (const [name, field] of Object.entries(fieldsOf(schema, `${info.name}_aggregate_fields`))) {
    if (name === "count") {
      field.resolve = (values: Aggregated["values"], args) => values.get(aggregateKey(countOf(args)));
      continue;
    }
    const fn = name as AggregateFunction;
    field.resolve = (values) => values;
    for (const [column, inner] of Object.entries(fieldsOf(schema, `${info.name}_${fn}_fields`))) {
      const key = aggregateKey({ fn, columns: [column], distinct: false });
      inner.resolve = (values: Aggregated["values"]) => values.get(key);
    }
  }
}

/** The read API's part of the schema, in SDL; it extends `Query` and uses the scalars UUID, JSON and DateTime. */
export function readTypeDefs(): string {
  const tables = [...tableInfo.values()].flatMap((info) => [...rowTypes(info), ...aggregateTypes(info), roots(info)]);
  return [...sharedTypes(), ...tables, ...rowTypes(traversalInfo), readFunctionTypeDefs].join("\n\n");
}

export const aggregateName = (name: string) => `${name}_aggregate`;
export const byKeyName = (name: string) => `${name}_by_pk`;

const scalars: Record<ColumnInfo["kind"], string> = {
  uuid: "UUID",
  rowNumber: "UUID",
  text: "String",
  int: "Int",
  bool: "Boolean",
  json: "JSON",
  instant: "DateTime",
  interval: "Interval",
  stateId: "ID",
};

function sharedTypes(): string[] {
  const comparison = (scalar: string, operators: string[]) =>
    block(
      `"An operand that is null compares nothing: the comparison is true."\ninput ${comparisonName(scalar)}`,
      operators,
    );
  const ordered = (scalar: string) => [
    ...["_eq", "_neq", "_gt", "_gte", "_lt", "_lte"].map((operator) => `${operator}: ${scalar}`),
    ...["_in", "_nin"].map((operator) => `${operator}: [${scalar}!]`),
    "_is_null: Boolean",
  ];
  const patterns = ["_like", "_nlike", "_ilike", "_nilike"].map((operator) => `${operator}: String`);
  return [
    `"A span of time, HH:MM:SS; as an operand a number of seconds will do."\nscalar Interval`,
    block(`"Nulls sort last when ascending and first when descending, unless it says otherwise."\nenum order_by`, [
      ...orderDirections,
    ]),
    comparison("UUID", ordered("UUID")),
    comparison("String", [...ordered("String"), ...patterns]),
    comparison("Int", ordered("Int")),
    comparison("Boolean", ordered("Boolean")),
    comparison("DateTime", ordered("DateTime")),
    comparison("Interval", ordered("Interval")),
    comparison("JSON", [
      ...["_eq", "_neq", "_contains"].map((operator) => `${operator}: JSON`),
      "_has_key: String",
      ...["_has_keys_any", "_has_keys_all"].map((operator) => `${operator}: [String!]`),
      "_is_null: Boolean",
    ]),
  ];
}

function rowTypes(info: TableInfo): string[] {
  const columns = [...info.columns.values()];
  const relations = [...info.relations.values()];
  const comparable = columns.filter((column) => column.comparable);
  const sortable = comparable.filter((column) => column.kind !== "json");
  const { name } = info;
  return [
    block(`type ${name}`, [
      ...columns.map((column) => `${column.name}: ${scalars[column.kind]}${column.nullable ? "" : "!"}`),
      ...relations.flatMap(relationFields),
    ]),
    block(`input ${name}_bool_exp`, [
      ...["_and", "_or"].map((word) => `${word}: [${name}_bool_exp!]`),
      `_not: ${name}_bool_exp`,
      ...comparable.map((column) => `${column.name}: ${comparisonName(scalars[column.kind])}`),
      ...relations.map((relation) => `${relation.name}: ${infoOf(relation.to).name}_bool_exp`),
    ]),
    block(`"The first key sorts first."\ninput ${name}_order_by`, [
      ...sortable.map((column) => `${column.name}: order_by`),
      ...relations.filter(({ many }) => !many).map(({ name, to }) => `${name}: ${infoOf(to).name}_order_by`),
    ]),
    block(
      `enum ${name}_select_column`,
      sortable.map((column) => column.name),
    ),
  ];
}

function aggregateTypes(info: TableInfo): string[] {
  const { name } = info;
  const functions = Object.entries(aggregated).flatMap(([fn, kinds]) => {
    const columns = [...info.columns.values()].filter((column) => column.comparable && kinds.includes(column.kind));
    return columns.length === 0 ? [] : [{ fn, columns }];
  });
  // A sum may be larger than Int, and an average has a fraction.
  const scalarOf = (fn: string, { kind }: ColumnInfo) => (fn === "avg" || fn === "sum" ? "Float" : scalars[kind]);
  return [
    block(`type ${aggregateName(name)}`, [`aggregate: ${name}_aggregate_fields!`, `nodes: [${name}!]!`]),
    block(`type ${name}_aggregate_fields`, [
      `count(columns: [${name}_select_column!], distinct: Boolean): Int!`,
      ...functions.map(({ fn }) => `${fn}: ${name}_${fn}_fields`),
    ]),
    ...functions.map(({ fn, columns }) =>
      block(
        `type ${name}_${fn}_fields`,
        columns.map((column) => `${column.name}: ${scalarOf(fn, column)}`),
      ),
    ),
  ];
}

function roots(info: TableInfo): string {
  const { name } = info;
  const list = listArguments(name);
  return block("extend type Query", [
    `${name}${list}: [${name}!]!`,
    `${aggregateName(name)}${list}: ${aggregateName(name)}!`,
    `${byKeyName(name)}(id: ${scalars[info.columns.get("id")!.kind]}!): ${name}`,
  ]);
}

/** The one row may be gone by the time it is read, so it may always be null. */
function relationFields(relation: RelationInfo): string[] {
  const { name } = infoOf(relation.to);
  if (!relation.many) return [`${relation.name}: ${name}`];
  const list = listArguments(name);
  return [`${relation.name}${list}: [${name}!]!`, `${aggregateName(relation.name)}${list}: ${aggregateName(name)}!`];
}

function listArguments(name: string): string {
  return `(where: ${name}_bool_exp, order_by: [${name}_order_by!], limit: Int, offset: Int, distinct_on: [${name}_select_column!])`;
}

function comparisonName(scalar: string): string {
  return `${scalar}_comparison_exp`;
}

function block(head: string, lines: readonly string[]): string {
  return `${head} {\n${lines.map((line) => `  ${line}`).join("\n")}\n}`;
}
