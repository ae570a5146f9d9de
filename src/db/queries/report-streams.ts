import type { Reads, Transaction } from "../database.js";

/** The last batch that was taken from a stream, and what was answered. */
export async function findReportStream(
  reads: Reads,
  tenantId: string,
  streamId: string,
): Promise<{ batch: number; answer: string } | undefined> {
  const [row] = await reads.all<{ batch: number; answer: string }>(
    "SELECT batch, answer FROM report_stream WHERE tenant_id = ?1 AND id = ?2",
    tenantId,
    streamId,
  );
  return row;
}

export interface ReportStreamAnswer {
  id: string;
  tenantId: string;
  batch: number;
  answer: string;
  now: string;
}

/** Notes a batch as taken. @returns false when this batch, or a later one, was taken before; nothing is changed then */
export async function writeReportStream(
  transaction: Transaction,
  { id, tenantId, batch, answer, now }: ReportStreamAnswer,
): Promise<boolean> {
  const changes = await transaction.run(
    `INSERT INTO report_stream (id, tenant_id, batch, answer, updated) VALUES (?1, ?2, ?3, ?4, ?5)
     ON CONFLICT (tenant_id, id) DO UPDATE SET batch = ?3, answer = ?4, updated = ?5 WHERE report_stream.batch < ?3`,
    id,
    tenantId,
    batch,
    answer,
    now,
  );
  return changes > 0;
}

/** Streams that ended long ago. */
export function deleteReportStreams(transaction: Transaction, before: string): Promise<number> {
  return transaction.run("DELETE FROM report_stream WHERE updated < ?1", before);
}
