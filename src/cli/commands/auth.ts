import type { Command } from "commander";
import type { ApiKey } from "../../client/cloud.js";
import { loginFile, readLogins, removeLogin, resolveCloud, resolveUrl, saveLogin } from "../../client/config.js";
import { MillraceError } from "../../core/errors.js";
import { SCOPES, scopeMeanings } from "../../server/access/permissions.js";
import { askSecret } from "../ask.js";
import { type Context, group, type Host, usage, withCloud, withShared } from "../command.js";
import { type Column, table } from "../print.js";
import { agoText, printable } from "../text.js";
import { instantOf } from "../when.js";

const SCOPE_HELP = SCOPES.map((scope) => `${scope}: ${scopeMeanings[scope]}`).join("; ");

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
    "millrace auth create-token --name build-server --scope RUNNER --expires 90d",
  )
    .option("--name <name>", "what the token is for", "millrace auth create-token")
    .option("--scope <scope>", `what it may do; ${SCOPE_HELP}`, "USER")
    .option("--expires <when>", "when it ends: 12h, 30d, or a date (default: never, or when your own token does)")
    .action(host.action(createToken));
  withShared(
    auth.command("list-tokens").description("the Cloud's tokens: scope, end and last use, never the token itself"),
    "millrace auth list-tokens",
  ).action(host.action(listTokens));
  withShared(
    auth
      .command("revoke-token")
      .description("take a token back; it is refused from now on")
      .argument("<id>", "the token's id, or its name where only one has it"),
    "millrace auth revoke-token build-server",
  ).action(host.action(revokeToken));
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
  const { name, scope, tenantId, expiresAt } = await withCloud(context, (cloud) => cloud.authInfo());
  const from = source === "login" ? loginFile(context.env) : "MILLRACE_API_TOKEN";
  context.say(`${url}\n  token  "${name ?? "without a name"}", scope ${scope}, from ${from}`);
  if (expiresAt !== null) context.say(`  ends   ${expiresAt}`);
  const others = source === "login" ? Object.keys(readLogins(context.env).servers).filter((each) => each !== url) : [];
  if (others.length > 0) context.say(`  other logins  ${others.join(", ")}`);
  context.answer({ url, name, scope, tenantId, expiresAt, source, otherLogins: others });
}

interface TokenOptions {
  name: string;
  scope: string;
  expires?: string;
}

async function createToken(context: Context, options: TokenOptions): Promise<void> {
  const scope = SCOPES.find((each) => each === options.scope.toUpperCase());
  if (!scope) throw usage(`--scope is one of ${SCOPES.join(", ")}, and was "${options.scope}".`);
  const expiresAt = options.expires === undefined ? undefined : instantOf("--expires", options.expires, Date.now());
  const { id, key } = await withCloud(context, (cloud) => cloud.createApiKey(options.name, scope, expiresAt));
  context.say(key);
  context.note("The token is shown this once. Use it with `millrace auth login` or as MILLRACE_API_TOKEN.");
  context.answer({ id, token: key, name: options.name, scope, expiresAt: expiresAt ?? null });
}

async function listTokens(context: Context): Promise<void> {
  const tokens = await withCloud(context, (cloud) => cloud.listApiKeys());
  context.answer(tokens);
  const now = Date.now();
  const columns: Column<ApiKey>[] = [
    { title: "ID", text: ({ id }) => id, whole: true },
    { title: "NAME", text: ({ name }) => name },
    { title: "SCOPE", text: ({ scope }) => scope },
    { title: "CREATED", text: ({ createdAt }) => agoText(createdAt, now) },
    { title: "ENDS", text: ({ expiresAt }) => expiresAt ?? "never" },
    { title: "LAST USED", text: ({ lastUsedAt }) => (lastUsedAt === null ? "never" : agoText(lastUsedAt, now)) },
  ];
  context.say(table(columns, tokens, context.stdout));
}

async function revokeToken(context: Context, _options: object, idOrName: string): Promise<void> {
  const { id, name } = await withCloud(context, async (cloud) => {
    const found = (await cloud.listApiKeys()).filter((each) => each.id === idOrName || each.name === idOrName);
    const [token] = found;
    if (!token) throw usage(`There is no token "${idOrName}".`, "`millrace auth list-tokens` shows them.");
    if (found.length > 1) throw usage(`${found.length} tokens are named "${idOrName}".`, "Say which by its id.");
    await cloud.deleteApiKey(token.id);
    return token;
  });
  context.say(`The token "${printable(name)}" is refused from now on; within 5 seconds by every server of this Cloud.`);
  context.answer({ id, name, revoked: true });
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
