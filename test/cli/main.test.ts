import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { millrace } from "../helpers/command-line.js";
import { repositoryFolder } from "../helpers/source-tree.js";

const home = t.testdir({
  "old-node.cjs": 'Object.defineProperty(process, "versions", { value: { ...process.versions, node: "18.20.1" } });',
});
const NOTHING_THERE = { MILLRACE_API_URL: "http://127.0.0.1:1", MILLRACE_API_TOKEN: "token" };

t.test("the version is the package's", async (t) => {
  const { version } = JSON.parse(readFileSync(join(repositoryFolder, "package.json"), "utf8")) as { version: string };
  t.match(await millrace(["--version"], { home }), { code: 0, stdout: `${version}\n`, stderr: "" });
});

const commands = [
  [],
  ["server", "start"],
  ["auth", "login"],
  ["auth", "status"],
  ["auth", "create-token"],
  ["auth", "logout"],
  ["create", "project"],
  ["deploy"],
  ["run"],
  ["agent", "start", "local"],
  ["get", "flows"],
  ["get", "projects"],
  ["get", "flow-runs"],
  ["get", "task-runs"],
  ["get", "logs"],
  ["get", "agents"],
  ["cancel"],
];
for (const words of commands) {
  t.test(`"millrace ${words.join(" ")} --help" ends with an example`, async (t) => {
    const { code, stdout } = await millrace([...words, "--help"], { home });
    t.equal(code, 0);
    t.match(stdout, /(Example|First steps):\n {2}\$ millrace /);
    if (words.length > 0) t.match(stdout, "--json");
    t.notMatch(stdout, "[]", "an empty list is no default that tells anything");
  });
}
for (const words of [["server"], ["auth"], ["create"], ["agent"], ["agent", "start"], ["get"]]) {
  t.test(`"millrace ${words.join(" ")} --help" lists its commands and ends with an example`, async (t) => {
    const { code, stdout } = await millrace([...words, "--help"], { home });
    t.equal(code, 0);
    t.match(stdout, /Commands:\n[\s\S]*Example:\n {2}\$ millrace /);
    t.match(stdout, `$ millrace ${words.join(" ")} `);
  });
}

const mistakes: [words: string[], code: string, hint?: RegExp][] = [
  [["deply"], "USAGE", /deploy/],
  [["get", "flow-run"], "USAGE", /flow-runs/],
  [["get", "flows", "--limt", "3"], "USAGE", /--limit/],
  [["get", "flows", "--limit", "many"], "USAGE"],
  [["get", "flow-runs", "--state", "Sleeping"], "USAGE", /Scheduled/],
  [["get", "logs", "a-run", "--level", "LOUD"], "USAGE", /WARNING/],
  [["deploy", "flow.ts"], "USAGE"],
  [["deploy"], "USAGE"],
  [["deploy", "no-such-file.ts", "--project", "P"], "FILE_NOT_FOUND"],
  [["deploy", "flow.ts", "--project", "P", "--env", "NO_SUCH_VARIABLE_HERE"], "USAGE", /value/],
  [["run"], "USAGE", /--help/],
  [["run", "flow.ts", "--watch"], "USAGE", /Deploy/],
  [["run", "no-such-file.ts"], "FILE_NOT_FOUND"],
  [["run", "--name", "a", "--project", "b", "--param", "novalue"], "USAGE", /--param/],
  [["create", "project", " "], "USAGE"],
  [["server", "start", "--port", "70000"], "USAGE"],
  [["server", "start", "--host", "0.0.0.0", "--port", "0"], "ADDRESS_NOT_LOCAL"],
  [["agent", "start", "local", "--threads", "0"], "USAGE"],
  [["agent", "start", "local", "--env", "NO_SUCH_VARIABLE_HERE"], "USAGE", /value/],
  [["agent", "start", "local", "--env", "MILLRACE_API_TOKEN"], "USAGE"],
  [["agent", "start", "local", "-l", " "], "AGENT_LABELS_INVALID"],
  [["get", "flows"], "CLOUD_UNREACHABLE", /millrace server start/],
  [["get", "flows", "--url", "not an address"], "INPUT_INVALID"],
  [["auth", "logout"], "NOT_LOGGED_IN"],
  [["auth", "create-token", "--scope", "GOD"], "USAGE"],
];
for (const [words, code, hint] of mistakes) {
  t.test(`"millrace ${words.join(" ")}" is ${code}`, async (t) => {
    const [people, machines] = await Promise.all([
      millrace(words, { home, env: NOTHING_THERE }),
      millrace([...words, "--json"], { home, env: NOTHING_THERE }),
    ]);
    t.equal(people.code, 1);
    t.equal(people.stdout, "");
    t.ok(people.stderr.startsWith(`${code}: `), people.stderr);
    if (hint) t.match(people.stderr.split("\n").slice(1).join("\n"), hint);

    t.equal(machines.code, 1);
    const { error } = JSON.parse(machines.stdout) as { error: { code: string; message: string; hint: string | null } };
    t.equal(error.code, code);
    t.ok(error.message);
    if (hint) t.match(error.hint ?? "", hint);
  });
}

t.test("without a login a command says how to log in", async (t) => {
  const { code, stderr } = await millrace(["get", "flows"], { home });
  t.equal(code, 1);
  t.match(stderr, /^NOT_LOGGED_IN: .*\n {2}.*millrace auth login/);
});

t.test("a group without its command shows the group's commands", async (t) => {
  const { code, stdout, stderr } = await millrace(["get"], { home });
  t.match({ code, stdout }, { code: 1, stdout: "" });
  t.match(stderr, "flow-runs");
});

t.test("colours are for terminals, unless they are forced; NO_COLOR has the last word", async (t) => {
  const colourOn = "\u001b[";
  const colours = async (env: Record<string, string>) =>
    (await millrace(["deply"], { home, env })).stderr.includes(colourOn);
  t.equal(await colours({}), false);
  t.equal(await colours({ FORCE_COLOR: "1" }), true);
  t.equal(await colours({ NO_COLOR: "1" }), false);
});

t.test("an old Node is told so in one line", async (t) => {
  const env = { NODE_OPTIONS: `--require ${join(home, "old-node.cjs")}` };
  const { code, stdout, stderr } = await millrace(["--version"], { home, env });
  t.match({ code, stdout }, { code: 1, stdout: "" });
  t.match(stderr, /^millrace needs Node\.js 22\.13 or newer; this is 18\.20\.1 \(.*\)\.\n$/);
});
