import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import {
  DEFAULT_CLOUD_URL,
  loginFile,
  readLogins,
  removeLogin,
  resolveCloud,
  resolveUrl,
  saveLogin,
} from "../../src/client/config.js";

const at = (folder: string, more: Record<string, string> = {}): NodeJS.ProcessEnv => ({
  MILLRACE_HOME: folder,
  ...more,
});

t.test("an option wins over the environment, the environment over the login file", async (t) => {
  const home = t.testdir();
  saveLogin({ url: "http://kept:1", token: "kept" }, at(home));
  const env = at(home, { MILLRACE_API_URL: "http://env:2/", MILLRACE_API_TOKEN: "env" });
  t.same(resolveCloud({ url: "http://option:3", token: "option" }, env), {
    url: "http://option:3",
    token: "option",
    source: "option",
  });
  t.same(resolveCloud({}, env), { url: "http://env:2", token: "env", source: "environment" });
  t.same(resolveCloud({}, at(home)), { url: "http://kept:1", token: "kept", source: "login" });
});

t.test("without any setting the address is this machine's", async (t) => {
  const env = at(t.testdir());
  t.equal(resolveUrl(undefined, env), DEFAULT_CLOUD_URL);
  t.throws(() => resolveCloud({}, env), { code: "NOT_LOGGED_IN", hint: /auth login/ });
});

t.test("a token is kept for its address only", async (t) => {
  const env = at(t.testdir());
  saveLogin({ url: "http://one:1", token: "one" }, env);
  saveLogin({ url: "http://two:2/", token: "two" }, env);
  t.equal(resolveCloud({}, env).token, "two");
  t.equal(resolveCloud({ url: "http://one:1/" }, env).token, "one");
  t.throws(() => resolveCloud({ url: "http://three:3" }, env), { code: "NOT_LOGGED_IN", message: /three/ });
});

t.test("the login file is readable by its owner alone and replaced whole", async (t) => {
  const home = join(t.testdir(), "new", "home");
  const env = at(home);
  saveLogin({ url: "http://one:1", token: "one" }, env);
  t.equal(statSync(loginFile(env)).mode & 0o777, 0o600);
  t.equal(statSync(home).mode & 0o777, 0o700);
  writeFileSync(loginFile(env), readFileSync(loginFile(env)), { mode: 0o644 });
  saveLogin({ url: "http://two:2", token: "two" }, env);
  t.equal(statSync(loginFile(env)).mode & 0o777, 0o600);
  t.same(readdirSync(home), ["auth.json"], "nothing is left beside it");
});

t.test("logging out forgets one address and falls back to another", async (t) => {
  const env = at(t.testdir());
  saveLogin({ url: "http://one:1", token: "one" }, env);
  saveLogin({ url: "http://two:2", token: "two" }, env);
  t.equal(removeLogin("http://two:2", env), true);
  t.equal(readLogins(env).current, "http://one:1");
  t.equal(removeLogin("http://two:2", env), false);
  t.equal(removeLogin("http://one:1", env), true);
  t.same(readLogins(env), { current: null, servers: {} });
});

const broken: [title: string, text: string][] = [
  ["half a JSON text", '{"current": "http'],
  ["another shape", "[]"],
  ["JSON null", "null"],
  ["servers without tokens", '{"current":null,"servers":{"http://a:1":{}}}'],
];
for (const [title, text] of broken) {
  t.test(`a login file with ${title} is one clear error that names the file`, async (t) => {
    const home = t.testdir({ "auth.json": text });
    t.throws(() => resolveCloud({}, at(home)), {
      code: "LOGIN_FILE_INVALID",
      message: /auth\.json/,
      hint: /auth login/,
    });
    t.throws(() => saveLogin({ url: "http://a:1", token: "a" }, at(home)), { code: "LOGIN_FILE_INVALID" });
    t.equal(readFileSync(join(home, "auth.json"), "utf8"), text, "it is left as it was");
    t.equal(
      resolveCloud({}, at(home, { MILLRACE_API_TOKEN: "env" })).token,
      "env",
      "nobody needs it with a token from outside",
    );
  });
}

t.test("a login file that is a folder cannot be used", async (t) => {
  const home = t.testdir();
  mkdirSync(join(home, "auth.json"));
  t.throws(() => resolveCloud({}, at(home)), { code: "LOGIN_FILE_INVALID" });
});

t.test("a home that is a file cannot be written", async (t) => {
  const home = t.testdir({ home: "a file" });
  t.throws(() => saveLogin({ url: "http://a:1", token: "a" }, at(join(home, "home", "below"))), {
    code: /STORAGE_FAILED|LOGIN_FILE_INVALID/,
  });
});

for (const url of ["", "127.0.0.1:4200", "ftp://a", "http://"]) {
  t.test(`"${url}" is not an address`, async (t) => {
    t.throws(() => resolveCloud({ url, token: "a" }, at(t.testdir())), { code: "INPUT_INVALID", hint: /http:/ });
  });
}

t.test("an address with a password in it is refused", async (t) => {
  t.throws(() => resolveCloud({ url: "http://me:secret@a:1", token: "a" }, at(t.testdir())), { code: "INPUT_INVALID" });
});

t.test("a token that cannot stand in a header is refused; space around one is not part of it", async (t) => {
  const env = at(t.testdir());
  t.throws(() => resolveCloud({ token: "a\nb" }, env), { code: "NOT_LOGGED_IN" });
  t.throws(() => resolveCloud({ token: " " }, env), { code: "NOT_LOGGED_IN" });
  t.equal(resolveCloud({ token: " abc\n" }, env).token, "abc");
});
