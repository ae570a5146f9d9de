import type { Command } from "commander";
import type { PullPolicy } from "../../agent/docker/docker-options.js";
import { resolveCloud } from "../../client/config.js";
import { type Context, collect, type Host, usage, wholeNumber, withShared } from "../command.js";
import { readEnv } from "../environment.js";
import { onStopSignals } from "../signals.js";

interface StartOptions {
  name: string;
  label: string[];
  image?: string;
  containers?: number;
  host?: string;
  pull: string;
  env: string[];
  volume: string[];
  network: string[];
  memory?: number;
  cpus?: string;
  cloudUrl?: string;
  keepContainers?: boolean;
  showLogs?: boolean;
  once?: boolean;
}

const PULL_POLICIES: readonly PullPolicy[] = ["missing", "always", "never"];
const MOST_MEMORY_MB = 16 * 1024 ** 2;

export function addDockerAgentCommand(start: Command, host: Host): void {
  withShared(
    start.command("docker").description("take flow runs from the Cloud and start a container for each"),
    "millrace agent start docker -l orders --image acme/millrace:1",
  )
    .option("--name <name>", "the agent's name in the Cloud", "agent")
    .option("-l, --label <label>", "a label; may be repeated", collect, [])
    .option("--image <name>", "the image of runs that name none")
    .option("--containers <number>", "containers at once (default: 4)", wholeNumber("--containers", 1, 1_024))
    .option(
      "--host <address>",
      "the daemon: unix:///path or http://host:port (default: DOCKER_HOST, or Docker's own socket)",
    )
    .option("--pull <when>", `when images are pulled: ${PULL_POLICIES.join(", ")}`, "missing")
    .option("-e, --env <NAME[=value]>", "an environment variable of the containers; may be repeated", collect, [])
    .option("-v, --volume <place:path>", "a bind mount or named volume; may be repeated", collect, [])
    .option("--network <name>", "a network to join; may be repeated", collect, [])
    .option("--memory <MiB>", "the most memory of a container", wholeNumber("--memory", 6, MOST_MEMORY_MB))
    .option("--cpus <number>", "processors that a container may keep busy, for instance 0.5")
    .option("--cloud-url <address>", "the Cloud's address as containers see it")
    .option("--keep-containers", "do not remove containers that have ended")
    .option("--show-logs", "print what containers print")
    .option("--once", "run what is due and end")
    .addHelpText(
      "after",
      `
Each container gets a token of its own, of scope RUNNER, which is revoked when it has ended; for that the agent's own
token must be of scope USER. When the agent stops, containers go on; started again, it finds them.`,
    )
    .action(host.action(startDocker));
}

async function startDocker(context: Context, options: StartOptions): Promise<void> {
  const pull = PULL_POLICIES.find((each) => each === options.pull);
  if (!pull) throw usage(`--pull is one of ${PULL_POLICIES.join(", ")}, and was "${options.pull}".`);
  const cpus = options.cpus === undefined ? undefined : Number(options.cpus);
  if (cpus !== undefined && !(cpus > 0 && cpus <= 1_024))
    throw usage(`--cpus is a number above 0, and was "${options.cpus}".`);
  const env = readEnv(options.env, context.env);
  const [{ DockerAgent }, { openCloud }] = await Promise.all([
    import("../../agent/docker/docker-agent.js"),
    import("../../client/cloud-client.js"),
  ]);
  const { url, token } = resolveCloud(context.url === undefined ? {} : { url: context.url }, context.env);
  const cloud = openCloud({ url, token });
  const { scope } = await cloud.authInfo();
  const agent = new DockerAgent({
    cloud,
    name: options.name,
    labels: options.label,
    pull,
    env,
    volumes: options.volume,
    networks: options.network,
    once: options.once ?? false,
    keepContainers: options.keepContainers ?? false,
    showLogs: options.showLogs ?? false,
    ...(options.image === undefined ? {} : { image: options.image }),
    ...(options.containers === undefined ? {} : { containers: options.containers }),
    ...(options.host === undefined ? {} : { host: options.host }),
    ...(options.memory === undefined ? {} : { memoryMb: options.memory }),
    ...(cpus === undefined ? {} : { cpus }),
    ...(options.cloudUrl === undefined ? {} : { cloudUrl: options.cloudUrl }),
    // A RUNNER token can make no other, and is what a container may have.
    ...(scope === "RUNNER" ? { token } : {}),
    log: (line) => (context.json ? context.note(line) : context.say(line)),
  });
  const stopListening = onStopSignals(() => {
    context.note("The agent stops; its containers go on.");
    void agent.stop();
  });
  try {
    context.say(`Agent "${options.name}" for the Cloud at ${url}\n  labels  ${options.label.join(", ") || "none"}`);
    context.answer({ name: options.name, url, labels: options.label, pid: process.pid });
    await agent.run();
  } finally {
    stopListening();
    await cloud.close();
  }
}
