import { CommanderError } from "commander";
import { describeError, type ErrorCode, isMillraceError, MillraceError } from "../core/errors.js";
import type { Action, Context, ExitCode, Host, SharedOptions } from "./command.js";
import { giveStdoutToStderr, outliveReader } from "./output.js";
import { coloured } from "./print.js";
import { makeProgram } from "./program.js";

/** Errors that are ours, not the user's. */
const OUR_ERRORS: ReadonlySet<ErrorCode> = new Set(["INTERNAL", "WORKER_PROTOCOL", "MAIN_THREAD_ONLY"]);

/** Held here: under `--json` it is the answer's alone, and `process.stdout` is another stream. */
const stdout = process.stdout;

/** Parses, dispatches, prints; answers the exit code. */
export async function runCommandLine(words: readonly string[]): Promise<ExitCode> {
  let exitCode: ExitCode = 0;
  // Asked before anything is parsed: a mistake in the words is told in the form that was asked for too.
  const json = words.includes("--json");
  const host: Host = {
    action:
      <Options, Args extends unknown[]>(run: Action<Options, Args>) =>
      async (...given: unknown[]) => {
        // Commander hands over the arguments, the options and the command.
        const options = given.at(-2) as Options & SharedOptions;
        const context = makeContext(options.json ?? false, options.url);
        if (context.json) giveStdoutToStderr();
        exitCode = (await run(context, options, ...(given.slice(0, -2) as Args))) ?? 0;
      },
  };
  try {
    await makeProgram(host).parseAsync([...words], { from: "user" });
    return exitCode;
  } catch (thrown) {
    if (thrown instanceof CommanderError && thrown.exitCode === 0) return 0;
    // A group without its command: commander has printed the group's help.
    if (thrown instanceof CommanderError && thrown.code === "commander.help") return 1;
    const error = thrown instanceof CommanderError ? toUsageError(thrown) : thrown;
    printError(error, json);
    return isMillraceError(error) && !OUR_ERRORS.has(error.code) ? 1 : 2;
  }
}

function makeContext(json: boolean, url: string | undefined): Context {
  return {
    json,
    env: process.env,
    stdout,
    stderr: process.stderr,
    url,
    say(text) {
      if (!json) stdout.write(`${text}\n`);
    },
    note(text) {
      process.stderr.write(`${text}\n`);
    },
    answer(value) {
      if (json) stdout.write(`${JSON.stringify(value, null, stdout.isTTY ? 2 : undefined)}\n`);
    },
  };
}

/** Commander's message begins with "error: ", and its suggestion stands in brackets on a line of its own. */
function toUsageError(error: CommanderError): MillraceError {
  const [first = "", suggestion] = error.message.replace(/^error: /, "").split("\n");
  const message = `${first.charAt(0).toUpperCase()}${first.slice(1)}.`.replace(/\.\.$/, ".");
  const hint = suggestion?.replace(/^\((.*)\)$/, "$1") ?? "See `millrace --help`.";
  return new MillraceError("USAGE", message, { hint });
}

function printError(error: unknown, json: boolean): void {
  if (json) {
    const { code, message, hint } = isMillraceError(error)
      ? error
      : { code: "INTERNAL", message: error instanceof Error ? error.message : String(error), hint: undefined };
    stdout.write(`${JSON.stringify({ error: { code, message, hint: hint ?? null } })}\n`);
    return;
  }
  const text = describeError(error);
  const end = isMillraceError(error) ? error.code.length : 0;
  process.stderr.write(`${coloured("red", text.slice(0, end), process.stderr)}${text.slice(end)}\n`);
}

outliveReader(stdout);
outliveReader(process.stderr);

/** No command ends by having nothing left to wait for; without this, such an end would look like success. */
let emptied = 0;
process.on("beforeExit", () => {
  emptied += 1;
  // One more turn: another listener, as that of a local run, may have brought the command on.
  if (emptied === 1) return void setImmediate(() => {});
  process.stderr.write("INTERNAL: the command waits for something that cannot happen any more.\n");
  process.exit(2);
});

const exitCode = await runCommandLine(process.argv.slice(2));
// Output to a pipe may still be on its way; code of a flow that was run here may have left timers behind.
stdout.write("", () => process.stderr.write("", () => process.exit(exitCode)));
