import type { Command } from "commander";
import type { Cloud } from "../client/cloud.js";
import { type CloudLogin, resolveCloud } from "../client/config.js";
import { MillraceError } from "../core/errors.js";
import type { Terminal } from "./print.js";

/** Options that every command takes. */
export interface SharedOptions {
  json?: boolean;
  url?: string;
}

/** What a command works with. Machine output goes to stdout, everything for people beside it to stderr. */
export interface Context {
  readonly json: boolean;
  readonly env: NodeJS.ProcessEnv;
  readonly stdout: Terminal;
  readonly stderr: Terminal;
  /** The address given by `--url`. */
  readonly url: string | undefined;
  /** Lines for people: on stdout, and nowhere under `--json`. */
  say(text: string): void;
  /** A remark beside the output: always on stderr. */
  note(text: string): void;
  /** The command's whole answer under `--json`; nothing otherwise. */
  answer(value: unknown): void;
}

/** Exit codes: 1 is the user's mistake or a run that did not succeed, 2 is ours; 3 and 4 are `execute`'s. */
export type ExitCode = 0 | 1 | 2 | 3 | 4;

/** What a command does; what it returns is the exit code, 0 when it returns none. */
export type Action<Options, Args extends unknown[]> = (
  context: Context,
  options: Options & SharedOptions,
  ...args: Args
  // biome-ignore lint/suspicious/noConfusingVoidType: most commands have nothing to return.
) => Promise<ExitCode | void>;

/** Gives commands to the program: `main.ts` has the one implementation. */
export interface Host {
  action<Options, Args extends unknown[]>(
    run: Action<Options, Args>,
  ): (...commanderArguments: unknown[]) => Promise<void>;
}

/** A command that only holds others, with an example below its help. */
export function group(parent: Command, name: string, description: string, example: string): Command {
  return parent.command(name).description(description).addHelpText("after", exampleText(example));
}

const exampleText = (example: string): string => `\nExample:\n  $ ${example}`;

/** Adds what every command has: `--json`, `--url`, and an example below its help. */
export function withShared(command: Command, example: string, options: { cloud?: boolean } = {}): Command {
  if (options.cloud ?? true) command.option("--url <address>", "the Cloud's address (default: the one logged in to)");
  return command.option("--json", "print JSON on stdout").addHelpText("after", exampleText(example));
}

/** How often a command asks a Cloud that does not answer: over in a third of a second, since a person waits. */
const COMMAND_TRIES = 3;

/** Opens the Cloud that the options, the environment or the login file name, or `login`, and closes it behind `use`. */
export async function withCloud<T>(
  context: Context,
  use: (cloud: Cloud) => Promise<T>,
  login: CloudLogin = resolveCloud(context.url === undefined ? {} : { url: context.url }, context.env),
): Promise<T> {
  const { openCloud } = await import("../client/cloud-client.js");
  const cloud = openCloud({ url: login.url, token: login.token, tries: COMMAND_TRIES });
  try {
    return await use(cloud);
  } finally {
    await cloud.close();
  }
}

export function usage(message: string, hint?: string): MillraceError {
  return new MillraceError("USAGE", message, hint === undefined ? {} : { hint });
}

/** For options that may be given several times. */
export function collect(value: string, before: string[] = []): string[] {
  return [...before, value];
}

/** Reads a whole number between two bounds. @throws USAGE */
export function wholeNumber(name: string, least: number, most: number): (text: string) => number {
  return (text) => {
    const number = Number(text);
    if (Number.isInteger(number) && number >= least && number <= most) return number;
    throw usage(`${name} is a whole number from ${least} to ${most}, and was "${text}".`);
  };
}
