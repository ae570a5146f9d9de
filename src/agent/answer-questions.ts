import type { Cloud } from "../client/cloud.js";
import { MillraceError } from "../core/errors.js";
import type { HostQuestion } from "../threads/messages.js";
import type { AnswerQuestion } from "./run-host.js";

/** Answers runs' questions by asking the Cloud with the agent's token. */
export function answerQuestions(cloud: Cloud): AnswerQuestion {
  return (question) => answer(question, cloud);
}

async function answer(question: HostQuestion, cloud: Cloud): Promise<unknown> {
  if (question.about === "create flow run") return createRun(question, cloud);
  if (question.about === "cancel flow run") {
    await cloud.cancelFlowRun(question.flowRunId);
    return null;
  }
  if (question.about === "secret")
    throw new MillraceError("SECRET_NOT_FOUND", `There is no secret "${question.name}".`);
  throw new MillraceError("CLOUD_REFUSED", `The agent cannot ask the Cloud about ${question.about}.`);
}

async function createRun(question: HostQuestion & { about: "create flow run" }, cloud: Cloud): Promise<string> {
  const { flowName, project, parameters, runName, labels, idempotencyKey } = question;
  const flow = await cloud.latestFlow(project ?? undefined, flowName);
  if (!flow) {
    const where = project === null ? "" : ` in project "${project}"`;
    throw new MillraceError("FLOW_NOT_DEPLOYED", `There is no flow "${flowName}"${where}.`, {
      hint: "Deploy it, or name its project.",
    });
  }
  return cloud.createFlowRun({
    flowId: flow.flowId,
    parameters,
    idempotencyKey,
    ...(runName === null ? {} : { name: runName }),
    ...(labels === null ? {} : { labels }),
  });
}
