import { readFile } from "node:fs/promises";
import { join } from "node:path";
import t from "tap";
import { RETRY_PAUSES_MS } from "../src/server/hooks/attempts.js";
import { hookTypes } from "../src/server/hooks/hook-config.js";
import { startReceiver, type ToldRequest } from "./helpers/hook-receiver.js";
import { examplesOf } from "./helpers/page-examples.js";
import { deployFlow, startTestCloud } from "./helpers/server.js";
import { repositoryFolder } from "./helpers/source-tree.js";

const PAGE = "cloud-hooks.md";

t.test("the page's example knows a Cloud's requests from all others", async (t) => {
  const page = await examplesOf(t, PAGE);
  t.same(page.problems(), []);
  const { isFromMillrace } = await page.load<{
    isFromMillrace(secret: string, headers: ToldRequest["headers"], body: string): boolean;
  }>();
  const receiver = await startReceiver(t);
  const cloud = await startTestCloud(t, { hooks: { allowPrivate: true } });
  const config = { url: receiver.url };
  const { id, signing_secret } = await cloud.call("create_cloud_hook", { type: "WEBHOOK", states: ["Failed"], config });
  await cloud.call("test_cloud_hook", { cloud_hook_id: id });
  const { headers, body } = receiver.requests[0]!;
  const secret = signing_secret!;
  t.equal(isFromMillrace(secret, headers, body), true);
  t.equal(isFromMillrace(secret, headers, `${body} `), false);
  t.equal(isFromMillrace(`whsec_${btoa("other")}`, headers, body), false);
  t.equal(isFromMillrace(secret, { ...headers, "webhook-id": "1" }, body), false);
  t.equal(isFromMillrace(secret, { ...headers, "webhook-timestamp": "1" }, body), false);
  t.equal(isFromMillrace(secret, {}, body), false);
});

t.test("the page's requests are answered, and its pauses and types are those of the code", async (t) => {
  const page = await readFile(join(repositoryFolder, "docs", PAGE), "utf8");
  const cloud = await startTestCloud(t);
  await deployFlow(cloud);
  const documents = [...page.matchAll(/^```graphql\n(.*?)^```/gms)].map((match) => match[1]!);
  t.equal(documents.length, 2);
  // Its host is looked up when something is sent, and nothing is sent here.
  for (const document of documents) t.equal((await cloud.ask(document)).body.errors, undefined, document);
  for (const type of hookTypes) t.match(page, `\`${type}\``);
  const units = { s: 1_000, min: 60_000, h: 3_600_000 };
  const [, list] = /sent again after (.*?)\. Then/s.exec(page)!;
  const pauses = [...list!.matchAll(/(\d+) (s|min|h)\b/g)].map(([, n, unit]) => Number(n) * units[unit as "s"]);
  t.same(pauses, RETRY_PAUSES_MS);
});
