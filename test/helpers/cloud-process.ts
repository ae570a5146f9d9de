import { type Running, startMillrace } from "./command-line.js";

/** A Cloud in a process of its own, with the commands' login kept in `home`. */
export interface CloudProcess {
  readonly running: Running;
  readonly url: string;
  readonly token: string;
}

/** Starts `millrace server start` on a free port with its database in `home`; it is killed when the test ends. */
export async function startCloudProcess(
  t: { teardown(fn: () => Promise<unknown>): void },
  home: string,
  words: readonly string[] = [],
): Promise<CloudProcess> {
  const running = startMillrace(["server", "start", "--port", "0", "--json", ...words], { home });
  t.teardown(() => running.stop("SIGKILL"));
  const text = await running.printed("\n");
  const { url, token } = JSON.parse(text) as { url: string; token: string };
  return { running, url, token };
}
