import type { Command } from "commander";
import type { Violation } from "../../db/verify/verify-database.js";
import { type Context, type ExitCode, type Host, withShared } from "../command.js";
import { DATABASE_OPTION, databasePlace } from "./server-database.js";

export function addVerifyCommand(server: Command, host: Host): void {
  withShared(
    server.command("verify").description("check that a Cloud's database holds together, also while the Cloud runs"),
    "millrace server verify --database ./millrace.db",
    { cloud: false },
  )
    .option(...DATABASE_OPTION)
    .action(host.action(verify));
}

async function verify(context: Context, options: { database?: string }): Promise<ExitCode> {
  const { openToVerify } = await import("../../db/verify/open-to-verify.js");
  const { verifyDatabase } = await import("../../db/verify/verify-database.js");
  const { shownPlace } = await import("../../db/open-database.js");
  const place = databasePlace(context, options.database);
  const database = await openToVerify(place);
  const begunAt = performance.now();
  let found: Violation[];
  try {
    found = await verifyDatabase(database, Date.now());
  } finally {
    await database.close();
  }
  const tookMs = Math.round(performance.now() - begunAt);
  const violations = found.filter((each) => !each.note);
  const notes = found.filter((each) => each.note);
  context.answer({ database: shownPlace(place), violations, notes, tookMs });
  for (const text of [...paragraphs(violations, ""), ...paragraphs(notes, "note: ")]) context.say(text);
  const isSound = violations.length === 0;
  const verdict = isSound ? "holds together" : `does NOT hold together: ${totalOf(violations)} rows break a rule`;
  context.say(`${shownPlace(place)} ${verdict} (${(tookMs / 1_000).toFixed(1)} s).`);
  return isSound ? 0 : 1;
}

/** One for each rule and table: its code, and a line for each row that is named. */
function paragraphs(found: readonly Violation[], word: string): string[] {
  return [...byRule(found).values()].map((rows) => {
    const [{ code, table, total }] = rows as [Violation, ...Violation[]];
    const rest = total - rows.length;
    const lines = rows.map((row) => `  ${row.message}`);
    if (rest > 0) lines.push(`  … and ${rest} more.`);
    return `${word}${code} in ${table}: ${total}\n${lines.join("\n")}\n`;
  });
}

const byRule = (found: readonly Violation[]) => Map.groupBy(found, ({ code, table }) => `${code} ${table}`);

function totalOf(found: readonly Violation[]): number {
  return [...byRule(found).values()].reduce((sum, [first]) => sum + first!.total, 0);
}
