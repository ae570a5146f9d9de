import { hostname } from "node:os";
import type { Command } from "commander";
import { resolveCloud } from "../../client/config.js";
import { type Context, collect, group, type Host, wholeNumber, withShared } from "../command.js";
import { readEnv } from "../environment.js";
import { onStopSignals } from "../signals.js";
import { addDockerAgentCommand } from "./agent-docker.js";

interface StartOptions {
  name: string;
  label: string[];
  hostnameLabel: boolean;
  threads?: number;
  env: string[];
  once?: boolean;
  requireSignedBy: string[];
  drain: number;
}

/** What the first signal gives runs under way before they are given back to the Cloud. */
const DEFAULT_DRAIN_SECONDS = 30;

const LOCAL_EXAMPLE = "millrace agent start local -l orders";

export function addAgentCommands(program: Command, host: Host): void {
  const agent = group(program, "agent", "agents: processes that take flow runs and execute them", LOCAL_EXAMPLE);
  const start = group(agent, "start", "start an agent", LOCAL_EXAMPLE);
  withShared(
    start.command("local").description("take flow runs from the Cloud and run them in worker threads of this process"),
    LOCAL_EXAMPLE,
  )
    .option("--name <name>", "the agent's name in the Cloud", "agent")
    .option("-l, --label <label>", "a label besides the hostname; may be repeated", collect, [])
    .option("--no-hostname-label", "do not carry the hostname as a label")
    .option(
      "--threads <number>",
      "runs at once (default: one less than the processors)",
      wholeNumber("--threads", 1, 1_024),
    )
    .option("-e, --env <NAME[=value]>", "an environment variable that flows may see; may be repeated", collect, [])
    .option(
      "--require-signed-by <file>",
      "take only flows that are signed by this public key; may be repeated",
      collect,
      [],
    )
    .option("--once", "run what is due and end")
    .option(
      "--drain <seconds>",
      "what runs get to end in when the agent is stopped",
      wholeNumber("--drain", 0, 86_400),
      DEFAULT_DRAIN_SECONDS,
    )
    .addHelpText(
      "after",
      `
The token is read from the login file and is not in the agent's environment, nor in that of its flows. A token given by
MILLRACE_API_TOKEN is taken out of the environment at the start, but the system goes on showing it in
/proc/<pid>/environ to this user: prefer \`millrace auth login\`. Worker threads protect against accidents, not against
malice: code of a flow runs as this user and can read this user's files, the login file among them.`,
    )
    .action(host.action(startLocal));
  addDockerAgentCommand(start, host);
}

async function startLocal(context: Context, options: StartOptions): Promise<void> {
  const [{ LocalAgent }, { openCloud }] = await Promise.all([
    import("../../agent/index.js"),
    import("../../client/cloud-client.js"),
  ]);
  const env = readEnv(options.env, context.env);
  const labels = [...(options.hostnameLabel ? [hostname()] : []), ...options.label];
  const { url, token, source } = resolveCloud(context.url === undefined ? {} : { url: context.url }, context.env);
  if (source === "environment") forgetToken();
  const cloud = openCloud({ url, token });
  const agent = new LocalAgent({
    cloud,
    name: options.name,
    labels,
    env,
    once: options.once ?? false,
    ...(options.requireSignedBy.length === 0 ? {} : { requireSignedBy: options.requireSignedBy }),
    ...(options.threads === undefined ? {} : { threads: options.threads }),
    log: (line) => (context.json ? context.note(line) : context.say(line)),
  });
  const drains: Promise<void>[] = [];
  const stopListening = onStopSignals((times) => {
    context.note(
      times === 1
        ? "The agent is stopping: runs under way are waited for. Ask again to stop at once."
        : "The agent stops at once.",
    );
    drains.push(agent.drain({ graceMs: times === 1 ? options.drain * 1_000 : 0 }));
  });
  try {
    context.say(`Agent "${options.name}" for the Cloud at ${url}\n  labels  ${labels.join(", ") || "none"}`);
    context.answer({ name: options.name, url, labels, pid: process.pid });
    await agent.run();
    await Promise.all(drains);
  } finally {
    stopListening();
    await cloud.close();
  }
}

/**
 * Flow code of this process must not find the token. What it was started with stays readable in /proc/self/environ for as
 * long as the process lives, which no program can change: the login file is the better place.
 */
function forgetToken(): void {
  delete process.env.MILLRACE_API_TOKEN;
}
