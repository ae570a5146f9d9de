import t from "tap";
import {
  deployFlow,
  flowRunRow,
  flowState,
  HandClock,
  LEASE_MS,
  letPass,
  startTestCloud,
  TestAgent,
} from "../helpers/server.js";

const HOUR_MS = 60 * 60 * 1000;
/** More than a round of all services takes. */
const LOOKS = 40;

/** A hand clock that is put forward or back before one of the next looks at it. */
class SteppedClock extends HandClock {
  #looksLeft = Number.POSITIVE_INFINITY;
  #stepMs = 0;
  constructor() {
    super();
    const now = this.now;
    this.now = () => {
      this.#looksLeft -= 1;
      if (this.#looksLeft === 0) this.step(this.#stepMs);
      return now();
    };
  }
  stepAt(look: number, ms: number): void {
    this.#looksLeft = look;
    this.#stepMs = ms;
  }
}

for (const ms of [HOUR_MS, -HOUR_MS]) {
  t.test(`a clock put ${ms > 0 ? "forward" : "back"} at any look of a round: who renews keeps its run`, async (t) => {
    const clock = new SteppedClock();
    const cloud = await startTestCloud(t, { clock });
    const { flowId } = await deployFlow(cloud);
    await cloud.call("create_flow_run", { flow_id: flowId });
    const agent = await TestAgent.register(cloud);
    const run = await agent.claimOne();
    await agent.report(run, [flowState("Running")]);
    for (let look = 1; look <= LOOKS; look++) {
      await letPass(cloud, clock, 2_000);
      t.strictSame((await agent.renew([run])).lost, [], `before look ${look}`);
      clock.stepAt(look, ms);
      await cloud.server.tick();
      clock.stepAt(Number.POSITIVE_INFINITY, 0);
      t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Running", times_resurrected: 0 }, `at look ${look}`);
    }
    await letPass(cloud, clock, LEASE_MS + 2_000);
    t.match(await flowRunRow(cloud, run.flow_run_id), { state: "Scheduled" }, "and who does not renew loses it");
  });
}
