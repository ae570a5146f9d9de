import { readFileSync } from "node:fs";
import { Command, Help, type Option } from "commander";
import type { Host } from "./command.js";
import { addAgentCommands } from "./commands/agent.js";
import { addAuthCommands } from "./commands/auth.js";
import { addCancelCommand } from "./commands/cancel.js";
import { addCreateCommands } from "./commands/create.js";
import { addDeployCommand } from "./commands/deploy.js";
import { addExecuteCommand } from "./commands/execute.js";
import { addGetCommands } from "./commands/get.js";
import { addKeyValueCommands } from "./commands/kv.js";
import { addLimitCommands } from "./commands/limit.js";
import { addResumeCommand } from "./commands/resume.js";
import { addRunCommand } from "./commands/run.js";
import { addScheduleCommands } from "./commands/schedule.js";
import { addSecretCommands } from "./commands/secret.js";
import { addServerCommands } from "./commands/server.js";
import { addWhyCommand } from "./commands/why.js";

const START = `
First steps:
  $ millrace server start                               # a Cloud on this machine, in its own terminal
  $ millrace deploy flow.ts --project Demo --create-project
  $ millrace run --name my-flow --project Demo --watch
  $ millrace agent start local -l my-flow               # in another terminal`;

/** The whole command line. It throws CommanderError where commander would exit, and prints no error by itself. */
export function makeProgram(host: Host): Command {
  const program = new Command("millrace")
    .description("Flows of TypeScript tasks under a Cloud.")
    .version(ownVersion(), "-V, --version", "print the version")
    .helpOption("-h, --help", "show help")
    .helpCommand(false)
    .showSuggestionAfterError(true)
    .addHelpText("after", START)
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .configureHelp({ optionDescription });
  addServerCommands(program, host);
  addAuthCommands(program, host);
  addCreateCommands(program, host);
  addDeployCommand(program, host);
  addRunCommand(program, host);
  addAgentCommands(program, host);
  addExecuteCommand(program, host);
  addGetCommands(program, host);
  addCancelCommand(program, host);
  addResumeCommand(program, host);
  addWhyCommand(program, host);
  addLimitCommands(program, host);
  addScheduleCommands(program, host);
  addSecretCommands(program, host);
  addKeyValueCommands(program, host);
  return program;
}

/** Options that may be given several times are an empty list by default, which tells nobody anything. */
function optionDescription(option: Option): string {
  return new Help().optionDescription(option).replace(/ \(default: \[\]\)$/, "");
}

function ownVersion(): string {
  const file = new URL("../../../package.json", import.meta.url);
  return (JSON.parse(readFileSync(file, "utf8")) as { version: string }).version;
}
