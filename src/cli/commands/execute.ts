import { readFileSync, rmSync } from "node:fs";
import type { Command } from "commander";
import { resolveCloud } from "../../client/config.js";
import { isMillraceError, MillraceError } from "../../core/errors.js";
import { type Context, collect, type ExitCode, type Host, usage, withShared } from "../command.js";
import { readEnv } from "../environment.js";
import { stateText } from "../print.js";
import { onStopSignals } from "../signals.js";
import { printable } from "../text.js";

interface ExecuteOptions {
  flowRun: string;
  inline?: boolean;
  env: string[];
  wholeEnv?: boolean;
  requireSignedBy: string[];
  tokenFile?: string;
  removeTokenFile?: boolean;
}

/** What `millrace execute` ends with besides 0, 1 and 2. A run that was given back is nobody's mistake. */
export const EXIT_GIVEN_BACK = 3;
export const EXIT_NOT_CLAIMED = 4;

export function addExecuteCommand(program: Command, host: Host): void {
  withShared(
    program
      .command("execute")
      .description("execute one flow run here, and end with it: for images, machines and units"),
    "millrace execute --flow-run 0193a7c2-5b1e-7c11-a2f4-0c7d3d9e8b10",
  )
    .argument("[saved-flow]", "the flow's saved file (default: it is fetched from its storage)")
    .requiredOption("--flow-run <id>", "the flow run; its labels are not looked at")
    .option("--inline", "run it on the main thread in place of a worker thread")
    .option("-e, --env <NAME[=value]>", "an environment variable that the flow may see; may be repeated", collect, [])
    .option("--whole-env", "let the flow see all of this process's environment but the Cloud's token")
    .option(
      "--require-signed-by <file>",
      "execute only a flow that is signed by this public key; may be repeated",
      collect,
      [],
    )
    .option("--token-file <path>", "read the Cloud's token from this file")
    .option("--remove-token-file", "delete that file before the flow is loaded")
    .addHelpText(
      "after",
      `
Exit codes: 0 the run is Success, 1 it ended otherwise or the command was refused, 2 a fault of Millrace, ${EXIT_GIVEN_BACK} the run was given
back (it waits, or SIGTERM came), ${EXIT_NOT_CLAIMED} the Cloud did not give the run out. With MILLRACE_AGENT_ID and MILLRACE_CLAIM_ID the run is
taken over from the agent that claimed it.`,
    )
    .action(host.action(execute));
}

async function execute(
  context: Context,
  options: ExecuteOptions,
  savedFlowFile: string | undefined,
): Promise<ExitCode> {
  const [{ executeRun }, { threadEnv, wholeEnv }, { openCloud }] = await Promise.all([
    import("../../agent/execute-run.js"),
    import("../../agent/thread-env.js"),
    import("../../client/cloud-client.js"),
  ]);
  const given = readEnv(options.env, context.env);
  const claim = claimOf(context.env);
  const token = options.tokenFile === undefined ? undefined : readToken(options.tokenFile, options.removeTokenFile);
  const login = resolveCloud(
    { ...(context.url === undefined ? {} : { url: context.url }), ...(token === undefined ? {} : { token }) },
    context.env,
  );
  for (const name of ["MILLRACE_API_TOKEN", "MILLRACE_AGENT_ID", "MILLRACE_CLAIM_ID"]) delete process.env[name];
  const cloud = openCloud({ url: login.url, token: login.token });
  const stop = new AbortController();
  const stopListening = onStopSignals(() => stop.abort());
  try {
    const run = await executeRun({
      cloud,
      flowRunId: options.flowRun,
      ...(claim === undefined ? {} : { claim }),
      ...(savedFlowFile === undefined ? {} : { savedFlowFile }),
      mode: options.inline ? "inline" : "thread",
      env: options.wholeEnv ? { ...wholeEnv(), ...given } : threadEnv(given),
      ...(options.requireSignedBy.length === 0 ? {} : { requireSignedBy: options.requireSignedBy }),
      log: (line) => context.note(line),
      signal: stop.signal,
    });
    context.answer({ flowRunId: options.flowRun, ...run });
    const why = run.message === null ? "" : `: ${printable(run.message)}`;
    context.say(`Flow run ${options.flowRun} is ${stateText(run.state, context.stdout)}${why}`);
    if (run.outcome === "given back") return EXIT_GIVEN_BACK;
    return run.succeeded ? 0 : 1;
  } catch (error) {
    if (!isMillraceError(error, "FLOW_RUN_NOT_CLAIMED")) throw error;
    context.answer({ error: { code: error.code, message: error.message, hint: error.hint ?? null } });
    context.note(`${error.code}: ${error.message}`);
    return EXIT_NOT_CLAIMED;
  } finally {
    stopListening();
    await cloud.close();
  }
}

function claimOf({ MILLRACE_AGENT_ID: agentId, MILLRACE_CLAIM_ID: claimId }: NodeJS.ProcessEnv) {
  if (!agentId && !claimId) return undefined;
  if (agentId && claimId) return { agentId, claimId };
  throw usage("MILLRACE_AGENT_ID and MILLRACE_CLAIM_ID belong together, and one of them is not set.");
}

/** @throws NOT_LOGGED_IN, also when the file should be gone and is not: code of the flow could read it */
function readToken(file: string, remove = false): string {
  try {
    const token = readFileSync(file, "utf8").trim();
    if (remove) rmSync(file);
    return token;
  } catch (cause) {
    throw new MillraceError("NOT_LOGGED_IN", `The token file "${file}" cannot be used: ${(cause as Error).message}`, {
      hint: "It must be there, readable, and in a folder that may be written when it is to be removed.",
      cause,
    });
  }
}
