import type { Command } from "commander";
import { deleteSecret, listSecrets, setSecret } from "../../client/settings.js";
import { askSecret } from "../ask.js";
import { type Context, group, type Host, usage, withCloud, withShared } from "../command.js";
import { printable } from "../text.js";

const EXAMPLE = "millrace secret set API_TOKEN";

export function addSecretCommands(program: Command, host: Host): void {
  const secret = group(
    program,
    "secret",
    "secrets that the Cloud keeps, encrypted, for flows that declare them",
    EXAMPLE,
  );
  withShared(
    secret
      .command("set")
      .description("keep a secret, or give it another value; it is asked for, or read from standard input")
      .argument("<name>", "its name, as the flow declares it")
      .option("--as-json", "what is given is JSON, in place of text"),
    EXAMPLE,
  ).action(host.action(set));
  withShared(
    secret.command("list").description("the names of the secrets, never their values"),
    "millrace secret list",
  ).action(host.action(list));
  withShared(
    secret.command("delete").description("forget a secret").argument("<name>", "its name"),
    "millrace secret delete API_TOKEN",
  ).action(host.action(remove));
}

/** Never from the words of the command: those are in the shell's history and in the list of processes. */
async function set(context: Context, options: { asJson?: boolean }, name: string): Promise<void> {
  const text = await askSecret(`Value of the secret "${printable(name)}": `, context.stderr);
  if (text === "") throw usage("No value was given.", "Type it at the prompt, or pipe it in.");
  const value = (options.asJson ?? false) ? parse(text) : text;
  await withCloud(context, (cloud) => setSecret(cloud, name, value));
  context.say(`The secret "${printable(name)}" is kept.`);
  context.answer({ name });
}

/** What the parser says quotes the text, which is secret. */
function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw usage("What was given is no JSON.", "Leave --as-json out to keep it as text.");
  }
}

async function list(context: Context): Promise<void> {
  const names = await withCloud(context, listSecrets);
  context.say(names.length === 0 ? `There are none. \`${EXAMPLE}\` keeps one.` : names.map(printable).join("\n"));
  context.answer(names.map((name) => ({ name })));
}

async function remove(context: Context, _options: unknown, name: string): Promise<void> {
  const deleted = await withCloud(context, (cloud) => deleteSecret(cloud, name));
  context.say(deleted ? `The secret "${printable(name)}" is forgotten.` : `There was no secret "${printable(name)}".`);
  context.answer({ name, deleted });
}
