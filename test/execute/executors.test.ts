import { availableParallelism } from "node:os";
import t from "tap";
import { executors } from "../../src/index.js";
import { temporaryHome } from "../helpers/home.js";
import { type ExecutorCase, executorFlow, executorSuite, watch } from "../suites/executor.js";

await temporaryHome(t);

const cases: ExecutorCase[] = [
  { title: "sequential", options: executors.sequential(), limit: 1 },
  { title: "concurrent", options: executors.concurrent(), limit: Number.POSITIVE_INFINITY },
  { title: "concurrent, 3 at once", options: executors.concurrent({ limit: 3 }), limit: 3 },
  { title: "2 threads", options: executors.threads({ size: 2 }), limit: 2 },
  { title: "threads", options: executors.threads(), limit: availableParallelism() },
];
for (const each of cases) executorSuite(t, each);

t.test("sequential runs go in the order of the flow, children depth first", async (t) => {
  const flow = await executorFlow("orders", "ordered");
  const order = ["add-1", "square-1[0]", "add-2[0]", "square-1[1]", "add-2[1]", "sum-1", "add-3"];
  for (const executor of [executors.sequential(), executors.concurrent({ limit: 1 })]) {
    const { moves } = await watch(flow, { executor });
    t.same(
      moves.filter((move) => move.endsWith("Running")).map((move) => move.split(" ")[0]),
      order,
    );
  }
});
