import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { millrace, startMillrace } from "../helpers/command-line.js";

interface AuthFile {
  current: string;
  servers: Record<string, { token: string }>;
}
const authFile = (home: string) => JSON.parse(readFileSync(join(home, "auth.json"), "utf8")) as AuthFile;

t.test("the first start shows the token once, keeps it in the login file, and stops on SIGTERM", async (t) => {
  const home = t.testdir();
  const first = startMillrace(["server", "start", "--port", "0"], { home });
  t.teardown(() => first.stop("SIGKILL"));
  const text = await first.printed("is kept in the login file");
  const url = /is at (http:\S+)/.exec(text)?.[1] ?? "";
  const token = /token +(\S+)/.exec(text)?.[1] ?? "";
  t.same(authFile(home), { current: url, servers: { [url]: { token } } });
  t.equal(statSync(join(home, "auth.json")).mode & 0o777, 0o600);
  t.ok(existsSync(join(home, "millrace.db")));
  t.match((await millrace(["auth", "status"], { home })).stdout, "first key");
  t.match(await first.stop("SIGTERM"), { code: 0, stderr: /stopping/ });

  const second = startMillrace(["server", "start", "--port", new URL(url).port], { home });
  t.teardown(() => second.stop("SIGKILL"));
  t.notMatch(await second.printed("database"), token);
  t.match((await millrace(["auth", "status", "--json"], { home })).code, 0, "the login still holds");
  t.match(await second.stop("SIGINT"), { code: 0 });
});

t.test("a login that is there is left alone", async (t) => {
  const logins = { current: "https://other.example", servers: { "https://other.example": { token: "theirs" } } };
  const home = t.testdir({ "auth.json": JSON.stringify(logins) });
  const { running } = await startCloudProcess(t, home);
  t.equal((JSON.parse(running.stdout()) as { loggedIn: boolean }).loggedIn, false);
  t.same(authFile(home), logins);
});

t.test("the token of a second database at the same address does not take the place of the first one's", async (t) => {
  const home = t.testdir();
  const first = await startCloudProcess(t, home);
  const logins = authFile(home);
  t.equal(logins.servers[first.url]?.token, first.token);
  await first.running.stop("SIGTERM");

  const words = ["server", "start", "--port", new URL(first.url).port, "--database", join(home, "second.db")];
  const second = startMillrace(words, { home });
  t.teardown(() => second.stop("SIGKILL"));
  const text = await second.printed(/auth login.*\n/);
  t.match(text, /NOT kept.*another token for this address/);
  t.same(authFile(home), logins);
  t.match(await millrace(["auth", "status"], { home }), { code: 1, stderr: /^UNAUTHENTICATED/ });

  const [, login = ""] = /millrace (auth login .*)\n/.exec(text) ?? [];
  t.match(await millrace(login.split(" "), { home }), { code: 0 }, "the line that was printed logs in");
  t.match(await millrace(["auth", "status"], { home }), { code: 0 });
  t.not(authFile(home).servers[first.url]?.token, first.token);
});

t.test("a login file that cannot be read does not keep the Cloud from starting", async (t) => {
  const home = t.testdir({ "auth.json": "{" });
  const { running, url } = await startCloudProcess(t, home);
  t.match(running.stderr(), /was not kept.*auth\.json/);
  t.match(await millrace(["get", "flows", "--url", url], { home }), { code: 1, stderr: /^LOGIN_FILE_INVALID/ });
});

t.test("--no-login keeps no token", async (t) => {
  const home = t.testdir();
  const { token } = await startCloudProcess(t, home, ["--no-login", "--database", join(home, "other.db")]);
  t.ok(token);
  t.notOk(existsSync(join(home, "auth.json")));
  t.ok(existsSync(join(home, "other.db")));
});

t.test("a port that is taken is ADDRESS_IN_USE", async (t) => {
  const home = t.testdir();
  const { url } = await startCloudProcess(t, home);
  const words = ["server", "start", "--port", new URL(url).port, "--database", join(home, "second.db")];
  t.match(await millrace(words, { home }), { code: 1, stderr: /^ADDRESS_IN_USE/ });
});
