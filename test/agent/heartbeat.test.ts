import t from "tap";
import { startHeartbeat } from "../../src/agent/heartbeat.js";
import type { Lease } from "../../src/client/cloud.js";
import { MillraceError } from "../../src/core/errors.js";
import { eventually } from "../helpers/eventually.js";

t.test("leases are renewed again and again, sooner after a failure; what became of the runs is told", async (t) => {
  const renewed: Lease[][] = [];
  const told: unknown[] = [];
  const lines: string[] = [];
  const held: Lease[] = [];
  let looks = 0;
  const heartbeat = startHeartbeat({
    cloud: {
      async renewLeases(agentId, leases, leaseMs) {
        t.same([agentId, leaseMs], ["agent", 60]);
        renewed.push([...leases]);
        if (renewed.length === 1) throw new MillraceError("CLOUD_UNREACHABLE", "no answer");
        return {
          lost: renewed.length === 2 ? ["a"] : [],
          cancelling: renewed.length === 3 ? ["b"] : [],
          granted: renewed.length === 3 ? ["t"] : [],
        };
      },
    },
    agentId: "agent",
    leaseMs: 60,
    leases: () => {
      looks += 1;
      return held;
    },
    onLost: (ids) => told.push(["lost", ids]),
    onCancelling: (ids) => told.push(["cancelling", ids]),
    onGranted: (ids) => told.push(["granted", ids]),
    log: (line) => lines.push(line),
  });
  await eventually(() => looks >= 2);
  t.same(renewed, [], "nothing is held, nothing is asked");
  held.push({ flowRunId: "a", fence: 1 }, { flowRunId: "b", fence: 2 });
  await eventually(() => told.length === 3);
  t.same(told, [
    ["lost", ["a"]],
    ["cancelling", ["b"]],
    ["granted", ["t"]],
  ]);
  t.same(renewed[0], held);
  t.match(lines, [/^The Cloud is away, leases were not renewed: no answer/]);
  await heartbeat.stop();
});
