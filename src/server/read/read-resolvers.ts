import type { GraphQLFieldResolver, GraphQLResolveInfo } from "graphql";
import type { Database } from "../../db/database.js";
import type { TableInfo } from "../../db/read/describe-tables.js";
import { readMappedChildren } from "../../db/read/mapped-children.js";
import { readDialects } from "../../db/read/read-dialect.js";
import { readAggregate, readByKey, readList } from "../../db/read/read-query.js";
import type { Reading } from "../../db/read/read-request.js";
import { tasksAround, traversalInfo } from "../../db/read/read-traversal.js";
import { OperationCost, type ReadLimits } from "./read-limits.js";
import { readAggregateSelection, readListArguments, readSelection, type SelectionContext } from "./read-selection.js";

/** What the read API needs of the GraphQL context. */
export interface ReadContext {
  /** The caller's tenant: no row of another is ever read. */
  readonly tenantId: string;
  /** Whose tenants the root `tenant` lists besides that one; null: nobody's. */
  readonly userId?: string | null;
  /** The request's variables as they were sent; needed for an `order_by` variable of several keys. */
  readonly variables?: Readonly<Record<string, unknown>> | null | undefined;
}

export type RootResolvers = ReturnType<typeof makeRootResolvers>;
type RootResolver = GraphQLFieldResolver<unknown, ReadContext>;

/** The functions that answer the roots of each table, and those that are made from several. */
export function makeRootResolvers(
  database: Pick<Database, "read" | "kind" | "snapshot">,
  limits: Readonly<ReadLimits>,
) {
  // By an object that each execution has of its own, so that all roots of one operation draw on one budget.
  const costs = new WeakMap<object, OperationCost>();

  function open(context: ReadContext, info: GraphQLResolveInfo): { selection: SelectionContext; reading: Reading } {
    let cost = costs.get(info.variableValues);
    if (cost === undefined) {
      cost = new OperationCost(limits);
      costs.set(info.variableValues, cost);
    }
    const { tenantId, userId = null, variables } = context;
    return {
      selection: { operation: info, sentVariables: variables === null ? {} : variables, cost },
      reading: { db: database.read, dialect: readDialects[database.kind], tenantId, userId, budget: cost.budget },
    };
  }

  /** What takes several statements sees the rows of one moment: a run must not change between its row and its task runs. */
  function whole<T>(reading: Reading, parts: number, read: (reading: Reading) => Promise<T>): Promise<T> {
    return parts === 0 ? read(reading) : database.snapshot((db) => read({ ...reading, db }));
  }

  return {
    list(table: TableInfo): RootResolver {
      return async (_root, _args, context, info) => {
        const { selection, reading } = open(context, info);
        const list = readListArguments(selection, info.parentType, info.fieldNodes[0]!);
        // Of the tenants, most see one.
        const above = selection.cost.add(null, table.key.includes(table.tenant) ? "one" : list);
        const rows = readSelection(selection, table, info.fieldNodes, above, 1);
        return whole(reading, rows.relations.length, (reading) => readList(reading, table, list, rows));
      };
    },
    byKey(table: TableInfo): RootResolver {
      return async (_root, args, context, info) => {
        const { selection, reading } = open(context, info);
        const rows = readSelection(selection, table, info.fieldNodes, selection.cost.add(null, "one"), 1);
        return whole(reading, rows.relations.length, (reading) => readByKey(reading, table, args.id, rows));
      };
    },
    aggregate(table: TableInfo): RootResolver {
      return async (_root, _args, context, info) => {
        const { selection, reading } = open(context, info);
        const list = readListArguments(selection, info.parentType, info.fieldNodes[0]!);
        const read = readAggregateSelection(selection, table, info.fieldNodes, { above: null, list, depth: 1 });
        return whole(reading, read.nodes.length, (reading) => readAggregate(reading, table, list, read));
      };
    },
    traversal(direction: "upstream" | "downstream"): RootResolver {
      return async (_root, { args }, context, info) => {
        const { selection, reading } = open(context, info);
        const list = readListArguments(selection, info.parentType, info.fieldNodes[0]!);
        const rows = readSelection(selection, traversalInfo, info.fieldNodes, selection.cost.add(null, list), 1);
        const { start_task_ids: ids, depth_limit: depth } = args as { start_task_ids: unknown[]; depth_limit: number };
        const from = tasksAround(reading, direction, ids, depth);
        return whole(reading, rows.relations.length, (reading) => readList(reading, traversalInfo, list, rows, from));
      };
    },
    mappedChildren(): RootResolver {
      return async (_root, { task_run_id }, context, info) => {
        const { selection, reading } = open(context, info);
        selection.cost.add(null, "one");
        return readMappedChildren(reading, task_run_id);
      };
    },
  };
}
