import { APPLICATION_ID, migrations } from "../migrate.js";
import { type Check, MAX_NAMED, type Moment, runCheck, select, type Violation } from "./finding.js";

/** Null: the tables are those that this Millrace knows. */
export async function schemaViolation(moment: Moment): Promise<Violation | null> {
  const version = await versionOf(moment);
  if (version === migrations.length) return null;
  return {
    code: "SCHEMA_VERSION",
    note: false,
    table: "(schema)",
    ids: { version },
    message: `The database has version ${version}, and this Millrace has version ${migrations.length}: nothing else was looked at.`,
    total: 1,
  };
}

/** 0: there is nothing of ours. */
async function versionOf(moment: Moment): Promise<number> {
  if (moment.kind === "sqlite") {
    const sql = `SELECT CASE WHEN application_id = ${APPLICATION_ID} THEN user_version ELSE 0 END AS version FROM pragma_user_version, pragma_application_id`;
    return Number((await select(moment, sql))[0]?.version);
  }
  const [found] = await select(moment, "SELECT to_regclass('schema_version')::text AS name");
  return found?.name == null ? 0 : Number((await select(moment, "SELECT version FROM schema_version"))[0]?.version);
}

/** What the database itself knows of its soundness. */
export async function storageViolations(moment: Moment): Promise<Violation[]> {
  if (moment.kind === "postgres") return [...(await runCheck(moment, notValid)), ...(await foreignKeys(moment))];
  const damages = await runCheck(moment, integrity);
  // A damaged file cannot always be asked for more.
  return damages.length > 0 ? damages : runCheck(moment, looseKeys);
}

/** A file that SQLite will not read any further. */
export function refusedFile({ message }: Error): Violation {
  return { code: "FILE_DAMAGED", note: false, table: "(file)", ids: {}, message, total: 1 };
}

const integrity: Check = {
  table: "(file)",
  ids: [],
  sql: "SELECT 'FILE_DAMAGED' AS code, integrity_check AS said FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
  rules: { FILE_DAMAGED: { say: (row) => `SQLite finds the file damaged: ${row.said}.` } },
};

const looseKeys: Check = {
  table: "(file)",
  ids: ["table", "rowid", "parent"],
  sql: `SELECT 'REFERENCE_LOOSE' AS code, "table", rowid, parent FROM pragma_foreign_key_check`,
  rules: {
    REFERENCE_LOOSE: {
      say: (row) =>
        `A row of ${row.table} (rowid ${row.rowid ?? "unknown"}) refers to a row of ${row.parent} that is not there.`,
    },
  },
};

const OURS = "(SELECT oid FROM pg_namespace WHERE nspname = current_schema())";

const notValid: Check = {
  table: "(schema)",
  ids: ["name"],
  sql: `SELECT 'FILE_DAMAGED' AS code, c.conname::text AS name FROM pg_constraint c WHERE c.connamespace = ${OURS} AND NOT c.convalidated
    UNION ALL SELECT 'FILE_DAMAGED', k.relname::text FROM pg_index i JOIN pg_class k ON k.oid = i.indexrelid
    WHERE k.relnamespace = ${OURS} AND NOT i.indisvalid`,
  rules: { FILE_DAMAGED: { say: (row) => `Postgres has marked "${row.name}" as not valid.` } },
};

/** Postgres holds foreign keys at every write, unless somebody has turned its triggers off. */
async function foreignKeys(moment: Moment): Promise<Violation[]> {
  const keys = await select(
    moment,
    `SELECT c.conrelid::regclass::text AS child, a.attname::text AS here, c.confrelid::regclass::text AS parent, p.attname::text AS there
     FROM pg_constraint c
       JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
       JOIN pg_attribute p ON p.attrelid = c.confrelid AND p.attnum = c.confkey[1]
     WHERE c.contype = 'f' AND c.connamespace = ${OURS} ORDER BY 1, 2`,
  );
  const found: Violation[] = [];
  for (const { child, here, parent, there } of keys) {
    const check: Check = {
      table: String(child),
      ids: ["missing"],
      sql: `SELECT 'REFERENCE_LOOSE' AS code, c.${here} AS missing FROM ${child} c
        WHERE c.${here} IS NOT NULL AND NOT EXISTS (SELECT 1 FROM ${parent} p WHERE p.${there} = c.${here})`,
      rules: {
        REFERENCE_LOOSE: {
          say: (row) => `A row of ${child} refers by ${here} to ${row.missing}, a row of ${parent} that is not there.`,
        },
      },
    };
    found.push(...(await runCheck(moment, check)));
  }
  return found.slice(0, MAX_NAMED);
}
