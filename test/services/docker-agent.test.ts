import { hostname } from "node:os";
import { join } from "node:path";
import t from "tap";
import { DockerAgent } from "../../src/agent/docker/docker-agent.js";
import type { DockerAgentOptions } from "../../src/agent/docker/docker-options.js";
import { runConfigs } from "../../src/core/options/run-config.js";
import { type AgentBed, openAgentBed } from "../helpers/agent-bed.js";
import { IMAGE_COMMAND, importMillraceImage, startDocker, whyNoDocker } from "../helpers/docker-engine.js";
import { eventually } from "../helpers/eventually.js";
import { temporaryHome } from "../helpers/home.js";

const IMAGE = "millrace-test:1";
const skip = whyNoDocker();

t.test("a DockerAgent under a real daemon", { skip }, async (t) => {
  const home = await temporaryHome(t);
  const engine = await startDocker(t);
  await importMillraceImage(engine, IMAGE);
  const bed = await openAgentBed(t, home);
  const flows = ["hello", "sleeps", "fills-memory", "looks-at-its-place", "exits-process"];
  for (const name of flows) await bed.deploy(name);

  const agents: DockerAgent[] = [];
  async function start(more: Partial<DockerAgentOptions> = {}): Promise<DockerAgent> {
    const agent = new DockerAgent({
      cloud: bed.cloud,
      image: IMAGE,
      command: IMAGE_COMMAND,
      host: engine.host,
      labels: [hostname(), ...flows],
      networks: ["host"],
      volumes: [`${join(home, "flows")}:${join(home, "flows")}:ro`],
      env: { HOME: "/root", MILLRACE_HOME: "/tmp/home" },
      pull: "never",
      log: (line) => bed.lines.push(line),
      ...more,
    });
    agents.push(agent);
    await agent.start();
    return agent;
  }
  t.teardown(() => Promise.all(agents.map((agent) => agent.drain({ graceMs: 0 }))));
  const containers = () => engine.docker.listContainers({ all: true });
  const gone = () => eventually(async () => (await containers()).length === 0, { timeoutMs: 20_000 });
  const withConfig = async (name: string, runConfig: ReturnType<typeof runConfigs.docker>, parameters = {}) =>
    bed.cloud.createFlowRun({ flowId: (await bed.deploy(name)).flowId, parameters, runConfig });

  await t.test("a run succeeds in a container of its own, which is removed, and its token revoked", async (t) => {
    const agent = await start();
    const from = performance.now();
    t.match(await bed.reached(await bed.create("hello")), { state: "Success" });
    t.comment(`hello in a container: ${Math.round(performance.now() - from)} ms`);
    await gone();
    await eventually(async () => (await bed.cloud.listApiKeys()).every(({ name }) => !name.startsWith("container")));
    await agent.stop();
  });

  await t.test("env of agent and run config reach the flow, and the token does not", async (t) => {
    const agent = await start({ env: { HOME: "/root", MILLRACE_HOME: "/tmp/home", FROM_AGENT: "a", BOTH: "a" } });
    const config = runConfigs.docker({ env: { FROM_RUN: "r", BOTH: "r" } });
    const id = await withConfig("looks-at-its-place", config, { names: ["FROM_AGENT", "FROM_RUN", "BOTH"] });
    t.match(await bed.reached(id), { state: "Success" });
    const line = await eventually(async () =>
      (await bed.logs(id)).map(({ message }) => message ?? "").find((message) => message.startsWith("{")),
    );
    t.match(JSON.parse(line), {
      values: { FROM_AGENT: "a", FROM_RUN: "r", BOTH: "r" },
      hasToken: false,
      leftToken: false,
    });
    await agent.stop();
  });

  await t.test("what goes wrong with a container ends the run Failed at once, with the true cause", async (t) => {
    const agent = await start();
    const started = performance.now();
    const killed = await bed.create("sleeps");
    await running(bed, killed);
    const [container] = await containers();
    await engine.docker.getContainer(container!.Id).kill();
    const cases: [string, string, RegExp][] = [
      [killed, "CONTAINER_ENDED", /exit code 137, which is signal 9/],
      [await withConfig("hello", runConfigs.docker({ image: "no-such:1" })), "DOCKER_IMAGE_MISSING", /"no-such:1"/],
      [
        await withConfig("fills-memory", runConfigs.docker({ memoryMb: 160 })),
        "CONTAINER_OUT_OF_MEMORY",
        /more memory than it may/,
      ],
    ];
    for (const [id, code, message] of cases) {
      const run = await bed.reached(id);
      t.equal(run.state, "Failed", code);
      t.match(run.message, message);
      t.match((await bed.cloud.flowRunState(id))?.context, { error: { code } });
    }
    const local = await bed.cloud.createFlowRun({
      flowId: (await bed.deploy("hello")).flowId,
      runConfig: runConfigs.local({}),
    });
    t.match((await bed.reached(local)).message, /only `UniversalRun` and `DockerRun` are supported/);
    t.ok(performance.now() - started < 30_000, "nobody waited for a lease to end");
    await gone();
    await agent.stop();
  });

  await t.test("a command that the image does not have, and an image that cannot be pulled, are told", async (t) => {
    const agent = await start({ command: ["/no/such/program"], pull: "missing" });
    const id = await bed.create("hello");
    t.match((await bed.reached(id)).message, /could not be started: .*no such file/);
    t.match((await bed.cloud.flowRunState(id))?.context, { error: { code: "CONTAINER_NOT_STARTED" } });
    const pulled = await withConfig("hello", runConfigs.docker({ image: "127.0.0.1:1/no/such:1" }));
    t.match((await bed.reached(pulled)).message, /"127.0.0.1:1\/no\/such:1" could not be pulled/);
    await agent.stop();
  });

  await t.test("a cancelled run ends Cancelled, and its container with it", async (t) => {
    const agent = await start();
    const id = await bed.create("sleeps");
    await running(bed, id);
    await bed.cloud.cancelFlowRun(id);
    t.equal((await bed.reached(id)).state, "Cancelled");
    await gone();
    await agent.stop();
  });

  await t.test("an agent that is started anew finds its containers, also those that ended meanwhile", async (t) => {
    const first = await start();
    const goesOn = await bed.create("sleeps", { ms: 6_000 });
    const dies = await bed.create("sleeps");
    await running(bed, goesOn);
    await running(bed, dies);
    await first.stop();
    t.equal((await containers()).length, 2, "they go on");
    const found = (await containers()).find(({ Labels }) => Labels["io.millrace.flow-run-id"] === dies);
    await engine.docker.getContainer(found!.Id).kill();
    const second = await start();
    t.match((await bed.reached(dies)).message, /exit code 137/);
    t.equal((await bed.reached(goesOn)).state, "Success");
    await gone();
    await second.stop();
  });

  await t.test(
    "a daemon that goes away and comes back is waited for; the run goes on, the next one is taken",
    async (t) => {
      const agent = await start();
      const id = await bed.create("sleeps", { ms: 4_000 });
      await running(bed, id);
      await engine.stop();
      await eventually(() => bed.lines.some((line) => /daemon is away/.test(line)));
      await engine.start();
      t.equal((await bed.reached(id)).state, "Success");
      t.equal((await bed.reached(await bed.create("hello"))).state, "Success");
      await gone();
      await agent.stop();
    },
  );
});

t.test("a daemon that is not there is an error at the start", async (t) => {
  const home = await temporaryHome(t);
  const bed = await openAgentBed(t, home);
  const agent = new DockerAgent({ cloud: bed.cloud, host: `unix://${join(home, "no.sock")}`, image: IMAGE });
  await t.rejects(agent.start(), { code: "DOCKER_UNREACHABLE" });
  const wrong = new DockerAgent({ cloud: bed.cloud, host: "docker", image: IMAGE });
  await t.rejects(wrong.start(), { code: "INPUT_INVALID" });
});

async function running(bed: AgentBed, id: string): Promise<void> {
  await eventually(
    async () => (await bed.taskRuns(id)).some(({ taskSlug, state }) => taskSlug === "sleep-1" && state === "Running"),
    { timeoutMs: 20_000, message: `run ${id} to be at work: ${bed.lines.join("\n")}` },
  );
}
