import { syncBuiltinESMExports } from "node:module";

/* Who may write to this process's standard output, and what becomes of it when nobody reads on. */

/**
 * A reader that has gone, as in `millrace run flow.ts | head -2`, is no reason to stop in the middle of the work: what
 * would be written is dropped from then on, and the command ends with the exit code that it would have had.
 */
export function outliveReader(stream: NodeJS.WriteStream): void {
  let gone = false;
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code !== "EPIPE") throw error;
    gone = true;
    stream.write = drop;
  });
  // The failed write also took off what was piped here: a worker thread's output, which would fill the memory unread.
  stream.on("unpipe", (source) => {
    setImmediate(() => {
      if (gone) source.resume();
    });
  });
}

/** As `write`: the callback is the last argument, wherever that is. */
function drop(...given: unknown[]): true {
  const done = given.at(-1);
  if (typeof done === "function") process.nextTick(done as () => void);
  return true;
}

/**
 * From here on, what takes `process.stdout` gets standard error: a flow's own `console.log`, here and in worker threads,
 * whose output comes by way of this thread. Whoever has the true stream in hand, as the command line has, keeps it.
 */
export function giveStdoutToStderr(): void {
  Object.defineProperty(process, "stdout", { value: process.stderr, configurable: true, enumerable: true });
  // For `import { stdout } from "node:process"`.
  syncBuiltinESMExports();
}
