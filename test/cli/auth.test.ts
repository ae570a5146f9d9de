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
