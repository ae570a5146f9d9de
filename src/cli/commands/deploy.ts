import type { Command } from "commander";
import { isMillraceError, MillraceError } from "../../core/errors.js";
import { parseStorageAddress } from "../../core/options/storage-address.js";
import type { Deployment } from "../../deploy/deploy.js";
import { type Context, collect, type Host, withCloud, withShared } from "../command.js";
import { readEnv } from "../environment.js";

interface DeployOptions {
  project: string;
  createProject?: boolean;
  name?: string;
  label: string[];
  env: string[];
  external: string[];
  sign?: string;
  storage?: string;
}

export function addDeployCommand(program: Command, host: Host): void {
  withShared(
    program.command("deploy").description("save the flows of a file and register them with the Cloud"),
    "millrace deploy orders.ts --project Sales --create-project",
  )
    .argument("<file>", "a module that calls flow()")
    .requiredOption("--project <name>", "the project that the flows belong to")
    .option("--create-project", "make the project when there is none of that name")
    .option("--name <flow>", "only the flow of that name")
    .option("-l, --label <label>", "a further label that agents must carry; may be repeated", collect, [])
    .option(
      "-e, --env <NAME[=value]>",
      "an environment variable that the file may see while it is loaded; may be repeated",
      collect,
      [],
    )
    .option(
      "--external <package>",
      "a package to load from where it is installed, in place of saving it with the flow; may be repeated",
      collect,
      [],
    )
    .option(
      "--storage <address>",
      "where the saved flow is kept: local (the default), s3://<bucket>/<prefix>, gs://… or azure://<account>/<container>/…",
    )
    .option("--sign <file>", "sign the flow with this private key, for agents that take signed flows only")
    .addHelpText(
      "after",
      `
Loading sees few variables of your environment: name those that the file's top level needs with --env. They are not
saved; hand the agent the same ones: millrace agent start local --env NAME.`,
    )
    .action(host.action(deploy));
}

async function deploy(context: Context, options: DeployOptions, file: string): Promise<void> {
  const env = readEnv(options.env, context.env);
  const [{ deployModule }, { loadSigningKey }] = await Promise.all([
    import("../../deploy/deploy.js"),
    import("../../storage/key-files.js"),
  ]);
  const deployments = await withCloud(context, async (cloud) =>
    deployModule(file, options.project, {
      cloud,
      createProject: options.createProject ?? false,
      labels: options.label,
      env,
      external: options.external,
      ...(options.storage === undefined ? {} : { storage: parseStorageAddress(options.storage) }),
      ...(options.sign === undefined ? {} : { signingKey: await loadSigningKey(options.sign) }),
      ...(options.name === undefined ? {} : { flowName: options.name }),
    }).catch((error: unknown) => {
      throw inWordsOfThisCommand(error, options.project);
    }),
  );
  for (const each of deployments) context.say(describe(each, options.project));
  context.answer(deployments.map((each) => ({ ...each, project: options.project })));
}

/** The library's hint speaks of an option object, which nobody has here. */
function inWordsOfThisCommand(error: unknown, project: string): unknown {
  if (!isMillraceError(error, "PROJECT_NOT_FOUND")) return error;
  const hint = `Add --create-project, or run \`millrace create project "${project}"\`.`;
  return new MillraceError(error.code, error.message, { hint, cause: error });
}

function describe({ flowName, created, flowId, version, labels, url }: Deployment, project: string): string {
  const lines = [
    `Flow "${flowName}" ${created ? "deployed" : "unchanged"} in project "${project}"`,
    `  id       ${flowId}`,
    `  version  ${version}`,
    `  labels   ${labels.join(", ")}`,
    `  url      ${url}`,
  ];
  return lines.join("\n");
}
