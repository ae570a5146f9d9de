import t from "tap";
import { subscribe } from "../helpers/agent-events.js";
import { eventually } from "../helpers/eventually.js";
import { brokenInvariants } from "../helpers/invariants.js";
import { deployFlow, TestAgent } from "../helpers/server.js";
import { needsPostgres } from "../helpers/test-database.js";
import { startTwo } from "../helpers/two-servers.js";

t.test("two servers on one Postgres", needsPostgres, async (t) => {
  await t.test("300 runs claimed by agents of both servers at once: each run goes to exactly one", async (t) => {
    const [first, second] = await startTwo(t);
    const { flowId } = await deployFlow(first, { tasks: ["a-1"] });
    const all = await Promise.all(
      Array.from(
        { length: 300 },
        async (_, n) => (await [first, second][n % 2]!.call("create_flow_run", { flow_id: flowId })).id,
      ),
    );
    const had: string[] = [];
    await Promise.all(
      Array.from({ length: 6 }, async (_, n) => {
        const agent = await TestAgent.register([first, second][n % 2]!, `agent ${n}`);
        for (;;) {
          const { runs } = await agent.claim(7);
          if (runs.length === 0) return;
          had.push(...runs.map((each) => each.flow_run_id));
        }
      }),
    );
    t.strictSame(had.sort(), all.sort());
    t.strictSame(await brokenInvariants(first), []);
  });

  await t.test(
    "an agent that listens at one server hears of a run asked for at the other, and of its end",
    async (t) => {
      const [first, second] = await startTwo(t);
      const { flowId } = await deployFlow(first, { tasks: ["a-1"] });
      const agent = await TestAgent.register(second);
      const events = await subscribe(second, agent.id);
      t.teardown(() => events.close());
      const { id } = await first.call("create_flow_run", { flow_id: flowId });
      await eventually(() => events.events.some((event) => event.run_due), { message: "word of the run" });
      const claimed = await agent.claimOne();
      t.equal(claimed.flow_run_id, id);
      await agent.flowState(claimed, "Running");
      await first.call("cancel_flow_run", { flow_run_id: id });
      await eventually(() => events.events.some((event) => event.cancelling.includes(id)), {
        message: "word of its end",
      });
    },
  );
});
