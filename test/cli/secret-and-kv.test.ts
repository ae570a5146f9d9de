import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { millrace } from "../helpers/command-line.js";

const home = t.testdir({
  "asks.ts": `import { flow, secret, task } from "millrace";
const ask = task("ask", { logPrints: true }, (token: string) => { console.log("with", token); return token.length; });
export const asks = flow("asks", () => ask(secret("API_TOKEN")));`,
});
const { running } = await startCloudProcess(t, home);
const say = (words: readonly string[], input = "") => millrace(words, { home, input });
const json = async (words: readonly string[], input = "") =>
  JSON.parse((await say([...words, "--json"], input)).stdout);

t.test("a secret is read from standard input, listed by its name, and never printed", async (t) => {
  t.match(await say(["secret", "list"]), { code: 0, stdout: /There are none/ });
  const set = await say(["secret", "set", "API_TOKEN"], "tok-4711\n");
  t.match(set, { code: 0, stdout: 'The secret "API_TOKEN" is kept.\n', stderr: "" });
  t.same(await json(["secret", "set", "LOGIN", "--as-json"], '{"user":"ada"}'), { name: "LOGIN" });
  t.same(await json(["secret", "list"]), [{ name: "API_TOKEN" }, { name: "LOGIN" }]);
  t.match(await say(["secret", "set", "EMPTY"]), { code: 1, stderr: /No value was given/ });
  const wrong = await say(["secret", "set", "LOGIN", "--as-json"], "tok-4711");
  t.match(wrong, { code: 1, stderr: /is no JSON/ });
  t.notMatch(wrong.stderr + running.stdout() + running.stderr(), /tok-4711/);
});

t.test("a flow under an agent reads the Cloud's secret, and its log has stars for it", async (t) => {
  await say(["deploy", "asks.ts", "--project", "Tests", "--create-project"]);
  await say(["run", "--name", "asks", "--project", "Tests"]);
  await say(["agent", "start", "local", "--once", "-l", "asks"]);
  const [run] = await json(["get", "flow-runs"]);
  t.equal(run.state, "Success");
  const logs = await say(["get", "logs", run.name]);
  t.match(logs.stdout, /with \*\*\*/);
  t.notMatch(logs.stdout, /tok-4711/);
});

t.test("keys are changed by a command while the Cloud runs", async (t) => {
  const keyFile = join(home, "millrace.db.secrets-key");
  const before = readFileSync(keyFile, "utf8");
  const { keyId, resealed } = await json(["server", "rotate-secrets-key"]);
  t.match(keyId, /^[0-9a-f]{12}$/);
  t.equal(resealed, 2);
  t.not(readFileSync(keyFile, "utf8"), before);
  t.match(await say(["secret", "delete", "LOGIN"]), { code: 0, stdout: /is forgotten/ });
  t.same(await json(["secret", "delete", "LOGIN"]), { name: "LOGIN", deleted: false });
  await say(["run", "--name", "asks", "--project", "Tests"]);
  await say(["agent", "start", "local", "--once", "-l", "asks"]);
  t.equal((await json(["get", "flow-runs"]))[0].state, "Success");
});

t.test("small values are set, read, listed and forgotten", async (t) => {
  t.match(await json(["kv", "set", "rates/eur", "1.08"]), { key: "rates/eur", value: 1.08 });
  t.match(await json(["kv", "set", "name", "Ada Lovelace"]), { value: "Ada Lovelace" });
  t.match(await say(["kv", "get", "rates/eur"]), { code: 0, stdout: "1.08\n" });
  t.match((await say(["kv", "list"])).stdout, /name +"Ada Lovelace"\n *rates\/eur +1\.08/);
  t.match(await say(["kv", "delete", "name"]), { code: 0, stdout: /name is forgotten/ });
  t.match(await say(["kv", "get", "name"]), {
    code: 1,
    stderr: /KEY_VALUE_NOT_FOUND: There is no value under the key "name"/,
  });
});
