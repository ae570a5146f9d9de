import { type ChildProcess, spawn } from "node:child_process";
import { join } from "node:path";
import { eventually } from "./eventually.js";
import { repositoryFolder } from "./source-tree.js";

const ENTRY = join(repositoryFolder, "bin", "millrace.cjs");

/** A command that has ended. */
export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandOptions {
  /** Where the command's logins, flows and database are. */
  home: string;
  env?: Record<string, string | undefined>;
  /** Written to standard input, which is closed behind it. */
  input?: string;
  cwd?: string;
}

/** A command that goes on until it is told to stop. */
export interface Running {
  readonly child: ChildProcess;
  stdout(): string;
  stderr(): string;
  /** Resolves with the whole standard output once it holds `text`. */
  printed(text: string | RegExp): Promise<string>;
  /** Sends the signal and resolves when the process has ended. */
  stop(signal?: NodeJS.Signals): Promise<Ended>;
  readonly ended: Promise<Ended>;
}

/** Runs `millrace` with these words in a process of its own until it ends. */
export function millrace(words: readonly string[], options: CommandOptions): Promise<Ended> {
  return startMillrace(words, options).ended;
}

/** Starts `millrace` with these words. The test ends it: `t.teardown(() => running.stop("SIGKILL"))`. */
export function startMillrace(words: readonly string[], options: CommandOptions): Running {
  const child = spawn(process.execPath, [ENTRY, ...words], {
    cwd: options.cwd ?? options.home,
    env: environment(options),
    stdio: ["pipe", "pipe", "pipe"],
  });
  const texts = { stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    texts.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    texts.stderr += text;
  });
  child.stdin.on("error", () => {});
  child.stdin.end(options.input ?? "");
  const ended = new Promise<Ended>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => resolve({ code, ...texts }));
  });
  const holds = (text: string | RegExp) =>
    typeof text === "string" ? texts.stdout.includes(text) : text.test(texts.stdout);
  return {
    child,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    async printed(text) {
      await eventually(() => holds(text), {
        timeoutMs: 20_000,
        message: `${String(text)} in the output of millrace ${words.join(" ")}: ${texts.stdout}${texts.stderr}`,
      });
      return texts.stdout;
    },
    async stop(signal = "SIGTERM") {
      if (child.exitCode === null && child.signalCode === null) child.kill(signal);
      return ended;
    },
    ended,
  };
}

/** The test's own environment without what would decide something for the command. */
function environment({ home, env }: CommandOptions): NodeJS.ProcessEnv {
  const own = Object.entries(process.env).filter(
    ([name]) => !/^(MILLRACE_|TAP|NODE_OPTIONS|NODE_V8|NO_COLOR|FORCE_COLOR|_TAPJS)/.test(name),
  );
  return { ...Object.fromEntries(own), MILLRACE_HOME: home, ...env };
}
