import t from "tap";
import type { AgentEvent } from "../../src/client/cloud.js";
import { openCloud } from "../../src/client/cloud-client.js";
import { type Running, startMillrace } from "../helpers/command-line.js";
import { eventually } from "../helpers/eventually.js";

interface Started {
  url: string;
  token: string | null;
}

async function startCloud(home: string, port: string): Promise<{ running: Running; started: Started }> {
  const running = startMillrace(["server", "start", "--port", port, "--no-login", "--json"], { home });
  const text = await running.printed("\n");
  return { running, started: JSON.parse(text) as Started };
}

t.test("a Cloud that is killed and started again is found by the same client and subscription", async (t) => {
  const home = t.testdir();
  let { running, started } = await startCloud(home, "0");
  t.teardown(() => running.stop("SIGKILL"));
  const { port } = new URL(started.url);
  const cloud = openCloud({ url: started.url, token: started.token! });
  t.teardown(() => cloud.close());
  const agentId = await cloud.registerAgent({ type: "LocalAgent", name: "a", labels: ["host"] });
  const stop = new AbortController();
  const events: AgentEvent[] = [];
  const listening = (async () => {
    for await (const event of cloud.agentEvents(agentId, undefined, stop.signal)) events.push(event);
  })();
  await eventually(() => events.length >= 1);
  const projectId = await cloud.createProject("Kept");
  const heardBefore = events.length;

  await running.stop("SIGKILL");
  const asked = cloud.findProject("Kept");
  ({ running, started } = await startCloud(home, port));
  t.equal(started.token, null, "no second first token");
  t.equal(await asked, projectId, "the request that met a dead server was answered by the next one");
  await eventually(() => events.length > heardBefore, { timeoutMs: 20_000 });
  stop.abort();
  await listening;
});
