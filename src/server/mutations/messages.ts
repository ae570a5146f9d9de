import type {
  DeleteMessageInput,
  MarkMessageAsReadInput,
  MarkMessageAsUnreadInput,
  SuccessPayload,
} from "../../client/wire.js";
import { deleteMessageRow, markMessage } from "../../db/queries/messages.js";
import { type RequestContext, toInstant } from "../parts.js";
import { deleted, notFound } from "./settings-input.js";

export function markMessageAsRead(input: MarkMessageAsReadInput, context: RequestContext): Promise<SuccessPayload> {
  return mark(input.message_id, true, context);
}

export function markMessageAsUnread(input: MarkMessageAsUnreadInput, context: RequestContext): Promise<SuccessPayload> {
  return mark(input.message_id, false, context);
}

async function mark(id: string, read: boolean, { parts, caller }: RequestContext): Promise<SuccessPayload> {
  const message = { tenantId: caller.tenantId, id, read, at: toInstant(parts.clock.now()) };
  if (!(await parts.database.write((transaction) => markMessage(transaction, message))))
    throw notFound(`Message ${id}`);
  return { success: true, error: null };
}

export async function deleteMessage(
  { message_id: id }: DeleteMessageInput,
  { parts, caller }: RequestContext,
): Promise<SuccessPayload> {
  return deleted(
    await parts.database.write((transaction) => deleteMessageRow(transaction, caller.tenantId, id)),
    `Message ${id}`,
  );
}
