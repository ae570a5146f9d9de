import t from "tap";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { startReceiver } from "../helpers/hook-receiver.js";
import { mutation } from "../helpers/server.js";

for (const [words, mayBe] of [
  [[], false],
  [["--allow-private-hooks"], true],
] as const) {
  t.test(
    `a Cloud started with ${words[0] ?? "no leave"} ${mayBe ? "sends" : "makes no"} hooks to this machine`,
    async (t) => {
      const receiver = await startReceiver(t);
      const { url, token } = await startCloudProcess(t, t.testdir(), words);
      const call = async (name: "create_cloud_hook" | "test_cloud_hook", input: object) => {
        const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
        const body = JSON.stringify({ query: mutation(name), variables: { input } });
        return (await (await fetch(url, { method: "POST", headers, body })).json()) as {
          data: Record<string, { id: string }> | null;
        };
      };
      const made = await call("create_cloud_hook", {
        type: "WEBHOOK",
        states: ["Failed"],
        config: { url: receiver.url },
      });
      if (!mayBe) return t.match(made, { errors: [{ message: /is at a private address/ }] });
      await call("test_cloud_hook", { cloud_hook_id: made.data?.create_cloud_hook?.id });
      return t.equal(receiver.requests.length, 1);
    },
  );
}
