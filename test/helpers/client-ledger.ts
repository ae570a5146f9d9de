import type { Cloud } from "../../src/client/cloud.js";
import { isMillraceError } from "../../src/core/errors.js";
import { openToVerify } from "../../src/db/verify/open-to-verify.js";
import { type Violation, verifyDatabase } from "../../src/db/verify/verify-database.js";

/** What the clients of a Cloud were told is done: it must be in the database, whatever happened since. */
export interface ClientLedger {
  /** Runs that the Cloud said it has made. */
  readonly created: Set<string>;
  /** States that the Cloud took, for each flow run and task run, in order. */
  readonly states: Map<string, string[]>;
  /** Under which fence a run was given to whom. */
  readonly claims: { flowRunId: string; fence: number; agentId: string }[];
  /** Runs whose last state the Cloud took. */
  readonly ended: Set<string>;
  /** How many states in all. */
  readonly acknowledged: number;
  /** Requests that the Cloud refused because its database failed. */
  readonly refusedByDatabase: number;
  /** The Cloud as seen by a client whose answers are written down. */
  watch(cloud: Cloud): Cloud;
}

const FINAL = new Set(["Success", "Failed", "Cancelled"]);

export function clientLedger(): ClientLedger {
  const created = new Set<string>();
  const states = new Map<string, string[]>();
  const claims: ClientLedger["claims"] = [];
  const ended = new Set<string>();
  let acknowledged = 0;
  let refusedByDatabase = 0;
  const answered = async <T>(call: Promise<T>): Promise<T> => {
    try {
      return await call;
    } catch (error) {
      if (isMillraceError(error, "DATABASE_FAILED")) refusedByDatabase += 1;
      throw error;
    }
  };
  const took = (id: string, type: string) => {
    acknowledged += 1;
    const list = states.get(id) ?? [];
    list.push(type);
    states.set(id, list);
  };
  const gave = (agentId: string, runs: readonly { flowRunId: string; fence: number }[]) => {
    for (const { flowRunId, fence } of runs) claims.push({ flowRunId, fence, agentId });
  };
  const watch = (cloud: Cloud): Cloud => ({
    ...cloud,
    async createFlowRun(run) {
      const id = await answered(cloud.createFlowRun(run));
      created.add(id);
      return id;
    },
    async claimRuns(claim) {
      const answer = await answered(cloud.claimRuns(claim));
      gave(claim.agentId, answer.runs);
      return answer;
    },
    async reportStates(batch, claim) {
      const answer = await answered(cloud.reportStates(batch, claim));
      if (claim && answer.claimed) gave(claim.agentId, answer.claimed.runs);
      const refused = new Set(answer.refused.map((each) => each.flowRunId));
      const queued = new Set(answer.queued);
      for (const run of batch.runs) {
        if (refused.has(run.flowRunId)) continue;
        for (const { taskRun, state } of run.states) {
          const id = taskRun?.taskRunId ?? run.flowRunId;
          if (!queued.has(id)) took(id, state.type);
          if (!taskRun && FINAL.has(state.type)) ended.add(run.flowRunId);
        }
      }
      return answer;
    },
  });
  return {
    created,
    states,
    claims,
    ended,
    get acknowledged() {
      return acknowledged;
    },
    get refusedByDatabase() {
      return refusedByDatabase;
    },
    watch,
  };
}

/** How a database stands beside a ledger; the three lists are empty when all is well. */
export interface Account {
  /** What the clients were told, and is not there. */
  readonly missing: string[];
  /** Runs that were made and are not Success. */
  readonly unfinished: string[];
  readonly violations: Violation[];
  readonly flowRuns: number;
  readonly states: number;
}

/** Reads the database as it is, with or without servers on it. */
export async function accountOf(place: string, ledger: ClientLedger, now = Date.now()): Promise<Account> {
  // What is told from now on may be newer than the moment that is read.
  const told = {
    created: [...ledger.created],
    states: [...ledger.states].map(([id, list]) => [id, [...list]] as const),
  };
  const database = await openToVerify(place);
  try {
    const violations = (await verifyDatabase(database, now)).filter(({ note }) => !note);
    return await database.snapshot(async (read) => {
      const history = new Map<string, string[]>();
      const note = (id: string, state: string) => void history.set(id, [...(history.get(id) ?? []), state]);
      const flow = await read
        .selectFrom("flow_run_state")
        .select(["flow_run_id", "state"])
        .orderBy("flow_run_id")
        .orderBy("version")
        .execute();
      const task = await read
        .selectFrom("task_run_state")
        .select(["task_run_id", "state"])
        .orderBy("task_run_id")
        .orderBy("version")
        .execute();
      for (const row of flow) note(row.flow_run_id, row.state);
      for (const row of task) note(row.task_run_id, row.state);
      const runs = await read.selectFrom("flow_run").select(["id", "state"]).execute();
      const known = new Set(runs.map(({ id }) => id));
      const missing = told.created.filter((id) => !known.has(id)).map((id) => `flow run ${id}`);
      for (const [id, words] of told.states) {
        const kept = history.get(id) ?? [];
        if (!isWithin(words, kept)) missing.push(`${id}: was told ${words.join(" ")}, and there is ${kept.join(" ")}`);
      }
      const unfinished = runs.filter(({ state }) => state !== "Success").map(({ id, state }) => `${id} ${state}`);
      return { missing, unfinished, violations, flowRuns: runs.length, states: flow.length + task.length };
    });
  } finally {
    await database.close();
  }
}

/** Do the words stand in the list in this order, others between them? */
function isWithin(words: readonly string[], list: readonly string[]): boolean {
  let at = 0;
  for (const word of list) if (word === words[at]) at += 1;
  return at === words.length;
}
