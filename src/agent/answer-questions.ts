import type { Cloud, RegisteredFlow } from "../client/cloud.js";
import { sleepUnlessAborted } from "../client/retry.js";
import { findSecret } from "../client/secrets.js";
import { fromWireState, type WireState } from "../codec/state-json.js";
import { MillraceError } from "../core/errors.js";
import { secretNotDeclared } from "../core/secret.js";
import { isTerminal } from "../core/state.js";
import type { HostQuestion } from "../threads/messages.js";
import { isAway } from "./away.js";
import { awayWaitMs } from "./back-off.js";

/** What the answers are taken from, and on whose behalf. */
export interface Asked {
  cloud: Pick<Cloud, "cachedStates" | "cancelFlowRun" | "createFlowRun" | "flowRunState" | "latestFlow" | "query">;
  /** The flow version whose run asks. */
  flowId: string;
  /** Fires when nobody waits for answers any more. */
  signal: AbortSignal;
  /** The flow runs that the run has made, by id: of no others may it ask. */
  made: Set<string>;
  /** Set when the flow is known, which is before its run can ask anything. */
  flow?: Pick<RegisteredFlow, "name" | "spec">;
}

type About<Kind extends HostQuestion["about"]> = Extract<HostQuestion, { about: Kind }>;

/** How often a flow run that a subflow waits for is looked at, in milliseconds: at first, and after a while. */
const FIRST_LOOK_MS = 100;
const LAST_LOOK_MS = 2_000;

/**
 * Answers a run's question with the agent's own rights; the run sees nothing but the answer. A Cloud that is away is asked
 * again until it answers, as reports are. @throws why there is no answer
 */
export async function answerQuestion(question: HostQuestion, asked: Asked): Promise<unknown> {
  for (let failures = 0; ; failures++) {
    try {
      return await answerOnce(question, asked);
    } catch (error) {
      if (asked.signal.aborted || !isAway(error)) throw error;
      await sleepUnlessAborted(awayWaitMs(failures), asked.signal);
    }
  }
}

async function answerOnce(question: HostQuestion, asked: Asked): Promise<unknown> {
  const { cloud, flowId } = asked;
  switch (question.about) {
    case "caches": {
      const { taskSlug, cacheKey, sinceAt } = question;
      return cloud.cachedStates({ flowId, taskSlug, cacheKey, sinceAt });
    }
    case "secret":
      return declaredSecret(question.name, asked);
    case "create flow run":
      return createRun(question, asked);
    case "flow run's end":
      return waitForEnd(question, asked);
    case "cancel flow run":
      checkMade(question.flowRunId, asked);
      await cloud.cancelFlowRun(question.flowRunId);
      return null;
  }
}

/** What the flow declares is taken from its registration, not from its thread. */
async function declaredSecret(name: string, { flow, cloud }: Asked): Promise<unknown> {
  // A version that was registered before flows declared their secrets has no list of them.
  const declared = flow?.spec.secrets ?? [];
  if (!declared.includes(name)) throw secretNotDeclared(flow?.name ?? "", name, declared);
  return findSecret(name, cloud);
}

function checkMade(flowRunId: string, { made }: Asked): void {
  if (made.has(flowRunId)) return;
  throw new MillraceError("FLOW_RUN_NOT_FOUND", `This run has made no flow run ${flowRunId}.`);
}

async function createRun(question: About<"create flow run">, { cloud, made }: Asked): Promise<string> {
  const { flowName, project, parameters, runName, labels, idempotencyKey } = question;
  const flow = await cloud.latestFlow(project ?? undefined, flowName);
  if (!flow) {
    const where = project === null ? "" : ` in project "${project}"`;
    throw new MillraceError("FLOW_NOT_DEPLOYED", `There is no flow "${flowName}"${where}.`, {
      hint: "Deploy it, or name its project.",
    });
  }
  const flowRunId = await cloud.createFlowRun({
    flowId: flow.flowId,
    parameters,
    idempotencyKey,
    ...(runName === null ? {} : { name: runName }),
    ...(labels === null ? {} : { labels }),
  });
  made.add(flowRunId);
  return flowRunId;
}

/** The last state of a flow run, or null when it has none after `waitMs`. */
async function waitForEnd(
  { flowRunId, waitMs }: About<"flow run's end">,
  asked: Asked,
): Promise<{ state: WireState } | null> {
  checkMade(flowRunId, asked);
  const { cloud, signal } = asked;
  const until = performance.now() + waitMs;
  for (let lookMs = FIRST_LOOK_MS; ; lookMs = Math.min(lookMs * 2, LAST_LOOK_MS)) {
    const state = await cloud.flowRunState(flowRunId);
    if (!state) throw new MillraceError("FLOW_RUN_NOT_FOUND", `There is no flow run ${flowRunId}.`);
    if (isTerminal(fromWireState(state, new Date().toISOString()))) return { state };
    if (signal.aborted) return null;
    const leftMs = until - performance.now();
    if (leftMs <= 0) return null;
    await sleepUnlessAborted(Math.min(lookMs, leftMs), signal);
  }
}
