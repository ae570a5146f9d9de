import t from "tap";
import { bytesOf, leaseOf, toContainerSpec, urlFromInside } from "../../../src/agent/docker/container-spec.js";
import type { DockerAgentOptions } from "../../../src/agent/docker/docker-options.js";
import type { ClaimedRun } from "../../../src/client/cloud.js";

const run: ClaimedRun = {
  flowRunId: "0193a7c2-5b1e-7c11-a2f4-0c7d3d9e8b10",
  fence: 2,
  leaseExpiresAt: "2026-11-23T10:00:30.000Z",
  flowId: "0193a7c2-5b1e-7c11-a2f4-0c7d3d9e8b11",
  name: "Brave Otter!",
  parameters: {},
  scheduledStartAt: "2026-11-23T10:00:00.000Z",
  timesResurrected: 0,
  taskRuns: [],
};
const facts = { run, image: "i:1", agentId: "a", claimId: "c", keyId: "k", env: { B: "run" }, cloudUrl: "http://x" };
const options = (more: Partial<DockerAgentOptions>) => ({ env: { A: "1", B: "agent" }, ...more }) as DockerAgentOptions;

t.test(
  "a container has the run's id and fence in name and labels, and the nearer of two limits and variables",
  async (t) => {
    const spec = toContainerSpec(facts, options({ memoryMb: 64, cpus: 2 }));
    t.equal(spec.name, "millrace-brave-otter-0c7d3d9e8b10-2");
    t.same(leaseOf(spec.Labels!), { flowRunId: run.flowRunId, fence: 2 });
    t.same(spec.Env, ["A=1", "B=run", "MILLRACE_API_URL=http://x", "MILLRACE_AGENT_ID=a", "MILLRACE_CLAIM_ID=c"]);
    t.match(spec.HostConfig, { Memory: 64 * 1024 ** 2, MemorySwap: 64 * 1024 ** 2, NanoCpus: 2e9 });
    t.same(spec.HostConfig?.ExtraHosts, ["host.docker.internal:host-gateway"]);
    const runConfig = { type: "DockerRun", env: null, labels: null, host_config: { mem_limit: "1g", nano_cpus: 5e8 } };
    const asked = toContainerSpec(
      { ...facts, run: { ...run, runConfig } },
      options({ memoryMb: 64, networks: ["host"] }),
    );
    t.match(asked.HostConfig, { Memory: 1024 ** 3, NanoCpus: 5e8, NetworkMode: "host" });
    t.equal(asked.HostConfig?.ExtraHosts, undefined, "Docker takes no hosts there");
  },
);

t.test("no token stands in what `docker inspect` shows", async (t) => {
  t.notMatch(JSON.stringify(toContainerSpec(facts, options({ token: "s3cret" }))), /s3cret/);
});

t.test("the Cloud's localhost is the host's, unless the container is on the host's network", async (t) => {
  for (const name of ["localhost", "127.0.0.1", "[::1]"])
    t.equal(urlFromInside(`http://${name}:4200`), "http://host.docker.internal:4200");
  t.equal(urlFromInside("https://millrace.example.com/a"), "https://millrace.example.com/a");
  t.equal(urlFromInside("http://127.0.0.1:4200", ["host"]), "http://127.0.0.1:4200");
});

t.test("limits are read as docker-py writes them", async (t) => {
  t.same(["512m", "1g", "10", 99, "64k", "much", null].map(bytesOf), [
    512 * 1024 ** 2,
    1024 ** 3,
    10,
    99,
    65_536,
    undefined,
    undefined,
  ]);
});
