import type { Command } from "commander";
import { type Context, group, type Host, usage, withCloud, withShared } from "../command.js";

export function addCreateCommands(program: Command, host: Host): void {
  const create = group(program, "create", "make things in the Cloud", "millrace create project Sales");
  withShared(
    create.command("project").description("make a project; one that is there is left as it is"),
    "millrace create project Sales",
  )
    .argument("<name>", "its name")
    .option("-d, --description <text>", "what it is for")
    .action(host.action(createProject));
  withShared(
    create
      .command("signing-key")
      .description("make a pair of keys: one to sign flows with at deploy, one for agents to know them by"),
    "millrace create signing-key flows.pem",
  )
    .argument("<file>", "the private key's file; the public key is written beside it, as <file>.pub")
    .action(host.action(createSigningKey));
}

async function createSigningKey(context: Context, _options: unknown, file: string): Promise<void> {
  const { makeKeyPair } = await import("../../storage/key-files.js");
  const { keyId, privateFile, publicFile } = await makeKeyPair(file);
  const lines = [
    `Signing key ${keyId.slice(0, 16)} made`,
    `  private  ${privateFile}   millrace deploy orders.ts --project Sales --sign ${file}`,
    `  public   ${publicFile}   millrace agent start local --require-signed-by ${file}.pub`,
  ];
  context.say(lines.join("\n"));
  context.answer({ keyId, privateFile, publicFile });
}

async function createProject(context: Context, options: { description?: string }, name: string): Promise<void> {
  if (name.trim() === "") throw usage("A project needs a name.");
  await withCloud(context, async (cloud) => {
    const before = await cloud.findProject(name);
    const projectId = before ?? (await cloud.createProject(name, options.description));
    const created = before === undefined;
    context.say(`Project "${name}" ${created ? "made" : "is there already"}\n  id  ${projectId}`);
    context.answer({ projectId, name, created });
  });
}
