import type { Check } from "./finding.js";

/*
 * What refers to another row, beyond the foreign keys: the other row is there, and belongs to the same flow and the same tenant.
 */

const edges: Check = {
  table: "edge",
  ids: ["id", "flow_id"],
  sql: `SELECT 'EDGE_LOOSE' AS code, e.id, e.flow_id, e.upstream_task_id, e.downstream_task_id
    FROM edge e LEFT JOIN task u ON u.id = e.upstream_task_id LEFT JOIN task d ON d.id = e.downstream_task_id
    WHERE u.flow_id IS DISTINCT FROM e.flow_id OR d.flow_id IS DISTINCT FROM e.flow_id`,
  rules: {
    EDGE_LOOSE: {
      say: (row) =>
        `The edge ${row.id} of flow ${row.flow_id} goes from task ${row.upstream_task_id} to task ${row.downstream_task_id}, and not both are tasks of that flow.`,
    },
  },
};

const taskRuns: Check = {
  table: "task_run",
  ids: ["id", "flow_run_id", "task_id"],
  sql: `SELECT 'TASK_RUN_OF_OTHER_FLOW' AS code, t.id, t.flow_run_id, t.task_id, t.map_index
    FROM task_run t LEFT JOIN flow_run r ON r.id = t.flow_run_id LEFT JOIN task k ON k.id = t.task_id
    WHERE r.flow_id IS NULL OR k.flow_id IS NULL OR k.flow_id <> r.flow_id OR t.map_index < -1`,
  rules: {
    TASK_RUN_OF_OTHER_FLOW: {
      say: (row) =>
        `The task run ${row.id} (map index ${row.map_index}) is of task ${row.task_id}, which is no task of the flow of flow run ${row.flow_run_id}.`,
    },
  },
};

const sameTenant = (table: string, column: string, to: string) =>
  `SELECT 'TENANT_DIFFERS' AS code, c.id, '${to}' AS other, c.${column} AS other_id FROM ${table} c JOIN ${to} p ON p.id = c.${column}
   WHERE p.tenant_id <> c.tenant_id`;

function tenants(table: string, ...parents: readonly (readonly [column: string, to: string])[]): Check {
  return {
    table,
    ids: ["id"],
    sql: parents.map(([column, to]) => sameTenant(table, column, to)).join(" UNION ALL "),
    rules: {
      TENANT_DIFFERS: {
        say: (row) =>
          `The ${words(table)} ${row.id} has another tenant than the ${words(String(row.other))} ${row.other_id} that it belongs to.`,
      },
    },
  };
}

const words = (table: string): string => table.replaceAll("_", " ");

const engines: Check = {
  table: "flow_run",
  ids: ["id", "flow_id"],
  sql: `SELECT 'ENGINE_DIFFERS' AS code, r.id, r.flow_id, r.engine, f.engine AS flow_engine
    FROM flow_run r JOIN flow f ON f.id = r.flow_id WHERE f.engine <> r.engine`,
  rules: {
    ENGINE_DIFFERS: {
      say: (row) =>
        `The flow run ${row.id} is for agents of ${row.engine}, and its flow ${row.flow_id} for those of ${row.flow_engine}.`,
    },
  },
};

const flowVersions: Check = {
  table: "flow",
  ids: ["flow_group_id", "version"],
  sql: `SELECT 'FLOW_VERSION_DOUBLE' AS code, flow_group_id, version, count(*) AS flows FROM flow
    GROUP BY flow_group_id, version HAVING count(*) > 1`,
  rules: {
    FLOW_VERSION_DOUBLE: {
      say: (row) => `The flow group ${row.flow_group_id} has ${row.flows} flows of version ${row.version}.`,
    },
  },
};

export const referenceChecks: readonly Check[] = [
  edges,
  taskRuns,
  tenants("task_run", ["flow_run_id", "flow_run"]),
  tenants("flow_run", ["flow_id", "flow"]),
  tenants("task", ["flow_id", "flow"]),
  tenants("flow", ["flow_group_id", "flow_group"], ["project_id", "project"]),
  engines,
  flowVersions,
];
