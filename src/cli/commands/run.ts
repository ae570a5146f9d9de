import type { Command } from "commander";
import type { Cloud } from "../../client/cloud.js";
import { MillraceError } from "../../core/errors.js";
import { type Context, collect, type ExitCode, type Host, usage, withCloud, withShared } from "../command.js";
import { readEnv } from "../environment.js";
import { isFinishedName, isSuccessName } from "../live-run.js";
import { readParameters } from "../parameters.js";
import { stateText } from "../print.js";
import { runConfigOf } from "../run-config.js";
import { onStopSignals } from "../signals.js";
import { printable } from "../text.js";
import { watchRun } from "../watch-run.js";

interface RunOptions {
  name?: string;
  project?: string;
  param: string[];
  paramFile?: string;
  runName?: string;
  label: string[];
  watch?: boolean;
  runConfig?: string;
  env: string[];
}

export function addRunCommand(program: Command, host: Host): void {
  withShared(
    program.command("run").description("run a file's flow here with no Cloud, or ask the Cloud for a run"),
    "millrace run orders.ts --param day=2026-11-23\n  $ millrace run --name orders --project Sales --watch",
  )
    .argument("[file]", "a module that calls flow(), or a saved flow; without it the Cloud is asked for a run")
    .option("--name <flow>", "the flow: which one of the file, or which one in the Cloud")
    .option("--project <name>", "the flow's project in the Cloud")
    .option("--param <name=value>", "a parameter; JSON, or a bare word; may be repeated", collect, [])
    .option("--param-file <path>", "a JSON object of parameters")
    .option("--run-name <name>", "the run's name")
    .option("-l, --label <label>", "labels of the run in place of the flow's; may be repeated", collect, [])
    .option("--run-config <json>", "the run's config, as Prefect writes it, or a file of it; in place of the flow's")
    .option(
      "-e, --env <NAME[=value]>",
      "a variable of the run's config besides those it has; may be repeated",
      collect,
      [],
    )
    .option("-w, --watch", "show the task runs until the run in the Cloud has ended")
    .action(host.action(run));
}

async function run(context: Context, options: RunOptions, file: string | undefined): Promise<ExitCode> {
  const parameters = readParameters(options.param, options.paramFile);
  if (file === undefined) return runInCloud(context, options, parameters);
  const cloudOnly = [
    options.project !== undefined && "--project",
    options.label.length > 0 && "--label",
    options.watch && "--watch",
    options.runConfig !== undefined && "--run-config",
    options.env.length > 0 && "--env",
    context.url !== undefined && "--url",
  ].filter((each) => typeof each === "string");
  if (cloudOnly.length > 0) {
    throw usage(
      `${cloudOnly.join(", ")} cannot go with a file, which is run here with no Cloud.`,
      "Deploy the file and run it by --name and --project.",
    );
  }
  const { runFile } = await import("../run-file.js");
  return runFile(context, { file, flowName: options.name, runName: options.runName, parameters });
}

async function runInCloud(
  context: Context,
  options: RunOptions,
  parameters: Record<string, unknown>,
): Promise<ExitCode> {
  const { name, project } = options;
  if (name === undefined || project === undefined) {
    throw usage(
      "`millrace run` takes a file, or --name and --project for a run in the Cloud.",
      "See `millrace run --help`.",
    );
  }
  return withCloud(context, async (cloud) => {
    const flow = await cloud.latestFlow(project, name);
    if (!flow) throw await flowNotFound(cloud, name, project);
    const runConfig = runConfigOf(options.runConfig, readEnv(options.env, context.env), flow.runConfig);
    const flowRunId = await cloud.createFlowRun({
      ...(runConfig === undefined ? {} : { runConfig }),
      flowId: flow.flowId,
      parameters,
      ...(options.runName === undefined ? {} : { name: options.runName }),
      ...(options.label.length === 0 ? {} : { labels: options.label }),
    });
    if (options.watch) return watch(context, cloud, flowRunId);
    context.say(`Flow run of "${name}" (version ${flow.version}) asked for\n  id  ${flowRunId}`);
    context.answer({ flowRunId, flowId: flow.flowId, flow: name, version: flow.version, project });
    return 0;
  });
}

async function flowNotFound(cloud: Cloud, name: string, project: string): Promise<MillraceError> {
  if ((await cloud.findProject(project)) === undefined) {
    return new MillraceError("PROJECT_NOT_FOUND", `There is no project "${project}" at ${cloud.url}.`, {
      hint: `\`millrace get projects\` lists them; \`millrace deploy <file> --project "${project}" --create-project\` makes one.`,
    });
  }
  return new MillraceError("FLOW_NOT_FOUND", `There is no flow "${name}" in project "${project}" at ${cloud.url}.`, {
    hint: "`millrace get flows` lists them; `millrace deploy <file> --project <project>` makes one.",
  });
}

/** Ctrl-C ends the watching, not the run. */
async function watch(context: Context, cloud: Cloud, flowRunId: string): Promise<ExitCode> {
  const stop = new AbortController();
  const stopListening = onStopSignals(() => stop.abort());
  try {
    const run = await watchRun(cloud, flowRunId, context.json ? context.stderr : context.stdout, stop.signal);
    context.answer(run);
    if (!isFinishedName(run.state)) {
      context.note(`The run goes on. To stop it: millrace cancel ${flowRunId}`);
      return 1;
    }
    context.say(
      `Flow run ${printable(run.name)} is ${stateText(run.state, context.stdout)}${run.message ? `: ${printable(run.message)}` : ""}\n  id  ${flowRunId}`,
    );
    return isSuccessName(run.state) ? 0 : 1;
  } finally {
    stopListening();
  }
}
