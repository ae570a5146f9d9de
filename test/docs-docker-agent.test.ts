import t from "tap";
import type { AgentLoop } from "../src/agent/agent-loop.js";
import type { Flow } from "../src/flow.js";
import { examplesOf } from "./helpers/page-examples.js";

t.test("the examples of docker-agent.md compile as a user's module, and do what the page says", async (t) => {
  const page = await examplesOf(t, "docker-agent.md");
  t.same(page.problems(), []);
  const { orders, startAgent } = await page.load<{
    orders: Flow;
    startAgent: (url: string, token: string) => AgentLoop;
  }>();
  t.same(orders.definition.options.runConfig, {
    kind: "docker",
    image: "acme/orders:7",
    env: { REGION: "eu" },
    memoryMb: 512,
    cpus: 0.5,
  });
  t.same(startAgent("http://127.0.0.1:4200", "token").labels, ["orders"]);
});
