import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import type { Flow } from "../src/flow.js";
import { whyCodes } from "../src/server/why/reason.js";
import { millrace } from "./helpers/command-line.js";
import { temporaryHome } from "./helpers/home.js";
import { examplesOf } from "./helpers/page-examples.js";
import { startTestCloud } from "./helpers/server.js";
import { repositoryFolder } from "./helpers/source-tree.js";

const home = await temporaryHome(t);
const page = (name: string) => readFile(join(repositoryFolder, "docs", name), "utf8");

t.test("the flow of docs/concurrency-limits.md compiles and runs", async (t) => {
  const examples = await examplesOf(t, "concurrency-limits.md");
  t.same(examples.problems(), []);
  const { asksDatabase } = await examples.load<{ asksDatabase: Flow }>();
  const outcome = await asksDatabase.run({ count: 3 });
  t.same(outcome.output, [0, 1, 2]);
});

t.test("the commands of docs/concurrency-limits.md do what they say", async (t) => {
  const cloud = await startTestCloud(t);
  const env = { MILLRACE_API_URL: cloud.url, MILLRACE_API_TOKEN: cloud.token };
  const [, block] = /```sh\n(.*?)```/s.exec(await page("concurrency-limits.md"))!;
  const commands = block!
    .trim()
    .split("\n")
    .map((line) => line.replace(/#.*/, "").trim().split(/\s+/).slice(1));
  t.equal(commands.length, 5);
  let last = "";
  for (const words of commands) {
    const { code, stdout } = await millrace(words, { home, env });
    t.equal(code, 0, words.join(" "));
    last = stdout;
  }
  t.match(last, /flow-label +gpu +1/);
  t.notMatch(last, "database");
});

t.test("docs/why.md has every code", async (t) => {
  const text = await page("why.md");
  for (const code of whyCodes) t.match(text, new RegExp(`\\b${code}\\b`));
});
