import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { millrace } from "../helpers/command-line.js";

const serverHome = t.testdir();
const { url, token } = await startCloudProcess(t, serverHome);

t.test("a token is tried before it is kept", async (t) => {
  const home = t.testdir();
  const wrong = await millrace(["auth", "login", "--url", url, "--token", "wrong"], { home });
  t.match(wrong, { code: 1, stderr: /^UNAUTHENTICATED/ });
  t.match(await millrace(["auth", "status", "--url", url], { home }), { code: 1, stderr: /^NOT_LOGGED_IN/ });

  const right = await millrace(["auth", "login", "--url", `${url}/`, "-k", token], { home });
  t.match(right, { code: 0, stdout: /Logged in to/, stderr: "" });
  t.equal(statSync(join(home, "auth.json")).mode & 0o777, 0o600);
  const status = await millrace(["auth", "status", "--json"], { home });
  t.match(JSON.parse(status.stdout), { url, name: "first key", scope: "USER", source: "login", otherLogins: [] });
});

t.test("a token may be piped in, so that no process list shows it", async (t) => {
  const home = t.testdir();
  const login = await millrace(["auth", "login", "--url", url], { home, input: `${token}\n` });
  t.match(login, { code: 0 });
  t.notMatch(login.stdout + login.stderr, token);
  t.match(await millrace(["auth", "login", "--url", url], { home, input: "" }), { code: 1, stderr: /^USAGE/ });
});

t.test("a token that was made is printed alone, and works", async (t) => {
  const made = await millrace(["auth", "create-token", "--name", "ci", "--scope", "runner"], { home: serverHome });
  t.match(made, { code: 0, stdout: /^\S+\n$/, stderr: /shown this once/ });
  const home = t.testdir();
  const env = { MILLRACE_API_URL: url, MILLRACE_API_TOKEN: made.stdout.trim() };
  const status = await millrace(["auth", "status", "--json"], { home, env });
  t.match(JSON.parse(status.stdout), { name: "ci", scope: "RUNNER", source: "environment" });
});

t.test("logging out forgets the token", async (t) => {
  const home = t.testdir();
  await millrace(["auth", "login", "--url", url, "-k", token], { home });
  t.match(await millrace(["auth", "logout"], { home }), { code: 0, stdout: /Logged out of/ });
  t.notMatch(readFileSync(join(home, "auth.json"), "utf8"), token);
  t.match(await millrace(["auth", "status", "--url", url], { home }), { code: 1, stderr: /^NOT_LOGGED_IN/ });
});

t.test("tokens are made with an end, listed, and revoked by name or id", async (t) => {
  const home = serverHome;
  const make = (...words: string[]) => millrace(["auth", "create-token", "--json", ...words], { home });
  const made = JSON.parse((await make("--name", "nightly", "--scope", "READ", "--expires", "90d")).stdout);
  t.match(made, { name: "nightly", scope: "READ", expiresAt: /^\d{4}-/ });
  const days = (Date.parse(made.expiresAt) - Date.now()) / 86_400_000;
  t.ok(days > 89.9 && days <= 90, `${days} days`);
  const list = await millrace(["auth", "list-tokens"], { home });
  t.match(list, { code: 0, stdout: /ID +NAME +SCOPE +CREATED +ENDS +LAST USED/ });
  t.match(list.stdout, new RegExp(`${made.id} +nightly +READ .*${made.expiresAt.slice(0, 10)}.*never`));
  t.notMatch(list.stdout, made.token);

  const env = { MILLRACE_API_URL: url, MILLRACE_API_TOKEN: made.token };
  const other = t.testdir();
  t.match(await millrace(["auth", "status"], { home: other, env }), { code: 0, stdout: /scope READ.*\n.*ends +\d{4}/ });
  const refused = await millrace(["create", "project", "P"], { home: other, env });
  t.match(refused, { code: 1, stderr: /^FORBIDDEN: .*needs a token of scope USER or DEPLOY/ });
  t.match(await millrace(["auth", "revoke-token", "nightly"], { home }), { code: 0, stdout: /refused from now on/ });
  t.match(await millrace(["auth", "status"], { home: other, env }), { code: 1, stderr: /^UNAUTHENTICATED/ });

  const twins = [JSON.parse((await make("--name", "twin")).stdout), JSON.parse((await make("--name", "twin")).stdout)];
  t.match(await millrace(["auth", "revoke-token", "twin"], { home }), { code: 1, stderr: /2 tokens are named "twin"/ });
  t.match(await millrace(["auth", "revoke-token", twins[0].id], { home }), { code: 0 });
  t.match(await millrace(["auth", "revoke-token", "nobody"], { home }), {
    code: 1,
    stderr: /There is no token "nobody"/,
  });
});

t.test("a scope or an end that cannot be is said before the Cloud is asked", async (t) => {
  const cases: [words: string[], message: RegExp][] = [
    [["--scope", "king"], /--scope is one of USER, DEPLOY, RUNNER, READ/],
    [["--expires", "soon"], /--expires is a span such as 12h/],
    [["--expires", "2020-01-01"], /which is over/],
    [["--expires", "0d"], /which is over/],
  ];
  for (const [words, message] of cases) {
    const ended = await millrace(["auth", "create-token", ...words], { home: serverHome });
    t.match(ended, { code: 1, stderr: message }, words.join(" "));
  }
});
