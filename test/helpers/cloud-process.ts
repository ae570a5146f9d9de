import { join } from "node:path";
import { type Running, startMillrace } from "./command-line.js";
import { databaseAt } from "./test-database.js";

/** A Cloud in a process of its own, with the commands' login kept in `home`. */
export interface CloudProcess {
  readonly running: Running;
  readonly url: string;
  readonly token: string;
}

/** Starts `millrace server start` on a free port with its database in `home`; it is killed when the test ends. */
export async function startCloudProcess(
  t: { teardown(fn: () => void | Promise<void>): void },
  home: string,
  words: readonly string[] = [],
): Promise<CloudProcess> {
  const database = await databaseAt(t, join(home, "millrace.db"));
  const place = database.startsWith("postgres:") && !words.includes("--database") ? ["--database", database] : [];
  const running = startMillrace(["server", "start", "--port", "0", "--json", ...place, ...words], { home });
  t.teardown(async () => void (await running.stop("SIGKILL")));
  const text = await running.printed("\n");
  const { url, token } = JSON.parse(text) as { url: string; token: string };
  return { running, url, token };
}
