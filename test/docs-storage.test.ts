import t from "tap";
import type { Flow } from "../src/flow.js";
import { examplesOf } from "./helpers/page-examples.js";

t.test("the examples of storage.md compile as a user's module, and the flow keeps its storage", async (t) => {
  const page = await examplesOf(t, "storage.md");
  t.same(page.problems(), []);
  const { orders } = await page.load<{ orders: Flow }>();
  t.match(orders.definition.options.storage, {
    type: "S3",
    place: { bucket: "acme-flows", prefix: "prod", region: "eu-west-1" },
  });
});
