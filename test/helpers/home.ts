import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** What a test hands over so that cleaning happens at its end: tap's `t`. */
interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/**
 * Points `MILLRACE_HOME` to a fresh temporary folder until the test ends, so that no test reads or writes the
 * user's own settings, flows or database. Returns the folder.
 *
 * The variable belongs to the process: call it once at the top of a test file (`await temporaryHome(t)`), not in
 * tests that run at the same time.
 */
export async function temporaryHome(t: Teardown): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "millrace-home-"));
  const before = process.env.MILLRACE_HOME;
  process.env.MILLRACE_HOME = folder;
  t.teardown(async () => {
    if (before === undefined) {
      delete process.env.MILLRACE_HOME;
    } else {
      process.env.MILLRACE_HOME = before;
    }
    await rm(folder, { recursive: true, force: true, maxRetries: 3 });
  });
  return folder;
}
