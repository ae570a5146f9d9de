import type { Command } from "commander";
import type { Deployment } from "../../deploy/deploy.js";
import { type Context, collect, type Host, withCloud, withShared } from "../command.js";

interface DeployOptions {
  project: string;
  createProject?: boolean;
  name?: string;
  label: string[];
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
    .action(host.action(deploy));
}

async function deploy(context: Context, options: DeployOptions, file: string): Promise<void> {
  const { deployModule } = await import("../../deploy/deploy.js");
  const deployments = await withCloud(context, (cloud) =>
    deployModule(file, options.project, {
      cloud,
      createProject: options.createProject ?? false,
      labels: options.label,
      ...(options.name === undefined ? {} : { flowName: options.name }),
    }),
  );
  for (const each of deployments) context.say(describe(each, options.project));
  context.answer(deployments.map((each) => ({ ...each, project: options.project })));
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
