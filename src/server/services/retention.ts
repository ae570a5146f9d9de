import { deleteFlowRuns } from "../../db/queries/flow-runs.js";
import { deleteReportStreams } from "../../db/queries/report-streams.js";
import {
  deleteAgentsUnseenSince,
  deleteKeysExpiredBefore,
  deleteLogsOf,
  deleteTaskRunsOf,
  runsEndedBefore,
  sizesOfRuns,
} from "../../db/queries/retention.js";
import { type ServerParts, toInstant } from "../parts.js";
import type { Round } from "./service-runner.js";
import { turns } from "./turns.js";

/** How long what is over is kept; null: for ever. */
export interface RetentionOptions {
  /** Days after which runs that have ended are deleted, with their task runs, states and log lines. Default null. */
  runsDays?: number | null;
  /** Days after which agents that do not ask any more are forgotten. Default 90. */
  agentsDays?: number | null;
  /** Days after which tokens that have expired are deleted. Default 30. */
  expiredKeysDays?: number | null;
}

const DAY_MS = 24 * 60 * 60 * 1000;
const DEFAULT_AGENTS_DAYS = 90;
const DEFAULT_EXPIRED_KEYS_DAYS = 30;
/** A stream that did not report for so long is over, and its last batch will not be sent again. */
const STREAM_KEPT_MS = DAY_MS;
/** Rows that one transaction deletes, some milliseconds of SQLite's writer: writers wait no longer for it. */
const BATCH = 500;
/** A round deletes no more runs: what is left has the next one. */
const RUNS_A_ROUND = 2_000;
/** Runs whose sizes are asked for together. */
const RUNS_A_LOOK = 100;

/** Deletes what is over and older than it is to be kept, a short transaction at a time. */
export async function deleteOld(parts: ServerParts, { nowMs }: Round, options: RetentionOptions): Promise<void> {
  const { runsDays = null, agentsDays = DEFAULT_AGENTS_DAYS, expiredKeysDays = DEFAULT_EXPIRED_KEYS_DAYS } = options;
  const ago = (days: number) => toInstant(nowMs - days * DAY_MS);
  const { database } = parts;
  await database.write((transaction) => deleteReportStreams(transaction, toInstant(nowMs - STREAM_KEPT_MS)));
  if (agentsDays !== null) {
    await database.write((transaction) => deleteAgentsUnseenSince(transaction, ago(agentsDays), BATCH));
  }
  if (expiredKeysDays !== null) {
    await database.write((transaction) => deleteKeysExpiredBefore(transaction, ago(expiredKeysDays), BATCH));
  }
  if (runsDays !== null) await deleteRuns(parts, ago(runsDays));
}

async function deleteRuns({ database }: ServerParts, before: string): Promise<void> {
  for (let deleted = 0; deleted < RUNS_A_ROUND; ) {
    const ids = await runsEndedBefore(database, before, RUNS_A_LOOK);
    if (ids.length === 0) return;
    let together: string[] = [];
    let rows = 0;
    const turn = turns();
    const flush = async () => {
      await turn.over();
      if (together.length > 0) await database.write((transaction) => deleteFlowRuns(transaction, together));
      [together, rows] = [[], 0];
    };
    for (const run of await sizesOfRuns(database, ids)) {
      if (rows + run.rows > BATCH) await flush();
      // A run with thousands of rows goes piece by piece, the run itself last: what is left of it after a crash is found again.
      if (run.rows > BATCH) await empty(database, run.id);
      else rows += run.rows;
      together.push(run.id);
    }
    await flush();
    deleted += ids.length;
  }
}

async function empty(database: ServerParts["database"], flowRunId: string): Promise<void> {
  const turn = turns();
  for (const deletePiece of [deleteLogsOf, deleteTaskRunsOf]) {
    while ((await database.write((transaction) => deletePiece(transaction, flowRunId, BATCH))) > 0) await turn.over();
  }
}
