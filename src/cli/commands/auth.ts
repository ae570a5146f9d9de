import type { Command } from "commander";
import { loginFile, readLogins, removeLogin, resolveCloud, resolveUrl, saveLogin } from "../../client/config.js";
import { MillraceError } from "../../core/errors.js";
import { askSecret } from "../ask.js";
import { type Context, group, type Host, usage, withCloud, withShared } from "../command.js";

export function addAuthCommands(program: Command, host: Host): void {
  const auth = group(program, "auth", "tokens: who you are to a Cloud", "millrace auth status");
  withShared(
    auth.command("login").description("keep a token for a Cloud, after trying it"),
    "millrace auth login --url http://127.0.0.1:4200",
  )
    .option("-k, --token <token>", "the token; without it you are asked, or it is read from standard input")
    .action(host.action(login));
  withShared(
    auth.command("status").description("which Cloud commands use, and whether it knows you"),
    "millrace auth status",
  ).action(host.action(status));
  withShared(
    auth.command("create-token").description("make a token, for instance for another machine"),
    "millrace auth create-token --name build-server",
  )
    .option("--name <name>", "what the token is for", "millrace auth create-token")
    .option("--scope <scope>", "USER, or RUNNER: all but make further tokens", "USER")
    .action(host.action(createToken));
  withShared(auth.command("logout").description("forget the token of a Cloud"), "millrace auth logout").action(
    host.action(logout),
  );
}

async function login(context: Context, options: { token?: string }): Promise<void> {
  const url = resolveUrl(context.url, context.env);
  const token = options.token ?? (await askSecret(`Token for ${url}: `, context.stderr));
  if (token.trim() === "") throw usage("No token was given.", "Paste it at the prompt, pipe it in, or pass --token.");
  const resolved = resolveCloud({ url, token }, context.env);
  const { name, scope } = await withCloud(context, (cloud) => cloud.authInfo(), resolved);
  saveLogin(resolved, context.env);
  context.say(`Logged in to ${url} with the token "${name ?? "without a name"}" (scope ${scope}).`);
  context.answer({ url, name, scope });
  if (context.env.MILLRACE_API_TOKEN) context.note("MILLRACE_API_TOKEN is set: it is used in place of the login.");
}

async function status(context: Context): Promise<void> {
  const { url, source } = resolveCloud(context.url === undefined ? {} : { url: context.url }, context.env);
  const { name, scope, tenantId } = await withCloud(context, (cloud) => cloud.authInfo());
  const from = source === "login" ? loginFile(context.env) : "MILLRACE_API_TOKEN";
  context.say(`${url}\n  token  "${name ?? "without a name"}", scope ${scope}, from ${from}`);
  const others = source === "login" ? Object.keys(readLogins(context.env).servers).filter((each) => each !== url) : [];
  if (others.length > 0) context.say(`  other logins  ${others.join(", ")}`);
  context.answer({ url, name, scope, tenantId, source, otherLogins: others });
}

async function createToken(context: Context, options: { name: string; scope: string }): Promise<void> {
  const scope = options.scope.toUpperCase();
  if (!["USER", "RUNNER"].includes(scope)) throw usage(`--scope is USER or RUNNER, and was "${options.scope}".`);
  const { id, key } = await withCloud(context, (cloud) => cloud.createApiKey(options.name, scope));
  context.say(key);
  context.note("The token is shown this once. Use it with `millrace auth login` or as MILLRACE_API_TOKEN.");
  context.answer({ id, token: key, name: options.name, scope });
}

async function logout(context: Context): Promise<void> {
  const url = resolveUrl(context.url, context.env);
  if (!removeLogin(url, context.env)) {
    throw new MillraceError("NOT_LOGGED_IN", `There is no login for ${url}.`, {
      hint: "`millrace auth status` shows the one that is used.",
    });
  }
  const { current } = readLogins(context.env);
  context.say(`Logged out of ${url}.${current === null ? "" : ` Commands use ${current} now.`}`);
  context.answer({ url, current });
}
