import type { Migration } from "../migrate.js";

const replace = (table: string) => `
ALTER TABLE report_stream RENAME TO report_stream_before;
${table};
INSERT INTO report_stream (id, tenant_id, batch, answer, updated) SELECT id, tenant_id, batch, answer, updated FROM report_stream_before;
DROP TABLE report_stream_before;
`;

/** A stream's id is its sender's choice: two tenants may choose the same, and must not meet. */
export const streamsByTenant: Migration = {
  version: 2,
  name: "report streams by tenant",
  up: replace(`CREATE TABLE report_stream (id TEXT NOT NULL, tenant_id TEXT NOT NULL, batch INTEGER NOT NULL, answer TEXT NOT NULL,
  updated TEXT NOT NULL, PRIMARY KEY (tenant_id, id)) STRICT, WITHOUT ROWID`),
  down: replace(`CREATE TABLE report_stream (id TEXT PRIMARY KEY, tenant_id TEXT NOT NULL, batch INTEGER NOT NULL, answer TEXT NOT NULL,
  updated TEXT NOT NULL) STRICT, WITHOUT ROWID`),
};
