import type { Command } from "commander";
import { type Context, type Host, usage, withShared } from "../command.js";
import { DATABASE_OPTION, databasePlace } from "./server-database.js";

export function addBackupCommand(server: Command, host: Host): void {
  withShared(
    server
      .command("backup")
      .description("copy the Cloud's SQLite file, also while the Cloud runs")
      .argument("<file>", "where the copy goes; one of that name is replaced"),
    "millrace server backup /backups/millrace.db",
    { cloud: false },
  )
    .option(...DATABASE_OPTION)
    .action(host.action(backup));
}

async function backup(context: Context, options: { database?: string }, file: string): Promise<void> {
  const database = databasePlace(context, options.database);
  if (/^postgres(ql)?:\/\//i.test(database)) {
    throw usage("A Postgres database is not backed up by this command.", "Use `pg_dump`, or your host's snapshots.");
  }
  const { backupSqlite } = await import("../../db/sqlite/backup.js");
  const made = backupSqlite(database, file);
  context.say(
    `${made.file}\n  ${made.bytes} bytes, checked. To use it: \`millrace server start --database ${made.file}\``,
  );
  context.answer(made);
}
