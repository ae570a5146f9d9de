import type { Command } from "commander";
import { type Context, type Host, withShared } from "../command.js";
import { DATABASE_OPTION, databasePlace } from "./server-database.js";

export function addRotateKeyCommand(server: Command, host: Host): void {
  withShared(
    server
      .command("rotate-secrets-key")
      .description("make a new key for the Cloud's secrets and seal them all with it, also while the Cloud runs"),
    "millrace server rotate-secrets-key",
    { cloud: false },
  )
    .option(...DATABASE_OPTION)
    .action(host.action(rotate));
}

async function rotate(context: Context, options: { database?: string }): Promise<void> {
  const place = databasePlace(context, options.database);
  const [{ openDatabase }, { rotateSealingKey }, { keySource }] = await Promise.all([
    import("../../db/open-database.js"),
    import("../../server/secrets/rotate-key.js"),
    import("../../server/secrets/sealing-keys.js"),
  ]);
  const database = await openDatabase(place);
  try {
    const source = keySource(place, context.env);
    const rotation = await rotateSealingKey(database, source);
    const { keyId, resealed, oldKeyIds } = rotation;
    const old = oldKeyIds.length === 0 ? "" : `\n  Backups may need the old ones: ${oldKeyIds.join(", ")}.`;
    const where = "file" in source ? `, in "${source.file}"` : "";
    context.say(`${resealed} secrets and hooks are sealed with the key ${keyId}${where}.${old}`);
    context.answer(rotation);
  } finally {
    await database.close();
  }
}
