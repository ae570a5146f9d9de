import t from "tap";
import { threadEnv } from "../../src/agent/thread-env.js";

const env = {
  PATH: "/bin",
  LC_TIME: "de_AT",
  TZ: "UTC",
  MILLRACE_HOME: "/m",
  MILLRACE_API_TOKEN: "secret",
  AWS_SECRET_ACCESS_KEY: "secret",
  DATABASE_URL: "postgres://u:secret@h/db",
  NODE_OPTIONS: "--require ./x.js",
};

t.test("flow code sees a short list of harmless variables", async (t) => {
  t.same(threadEnv(undefined, env), { PATH: "/bin", LC_TIME: "de_AT", TZ: "UTC", MILLRACE_HOME: "/m" });
});

t.test("further ones by name, or by name and value", async (t) => {
  t.equal(threadEnv(["DATABASE_URL", "NO_SUCH"], env).DATABASE_URL, env.DATABASE_URL);
  t.match(threadEnv({ REGION: "north", TZ: "Europe/Vienna" }, env), {
    REGION: "north",
    TZ: "Europe/Vienna",
    PATH: "/bin",
  });
});

t.test("the token is never among them, however it is asked for", async (t) => {
  t.notMatch(threadEnv(["MILLRACE_API_TOKEN"], env), { MILLRACE_API_TOKEN: String });
  t.notMatch(threadEnv({ MILLRACE_API_TOKEN: "secret" }, env), { MILLRACE_API_TOKEN: String });
});
