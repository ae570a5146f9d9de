import type { WhyReason } from "../../client/wire.js";

/** Why a run does not go on, for programs; docs/why.md has each. */
export const whyCodes = [
  "ENDED",
  "NOT_DUE",
  "NO_AGENT",
  "LABELS_DIFFER",
  "OTHER_FLOW_ONLY",
  "OTHER_ENGINE",
  "FLOW_LABEL_LIMIT",
  "AGENTS_BUSY",
  "ABOUT_TO_START",
  "PAUSED_RUN",
  "STARTING",
  "CANCELLING",
  "HELD",
  "NOT_HELD",
  "TASK_TAG_LIMIT",
  "TASK_PAUSED",
  "TASK_RETRYING",
  "TASKS_RUNNING",
  "UPSTREAM_NOT_FINISHED",
  "FLOW_ARCHIVED",
  "NO_SCHEDULE",
  "SCHEDULE_INACTIVE",
  "SCHEDULE_FAILED",
  "PARAMETERS_MISSING",
  "NEXT_RUN",
] as const;
export type WhyCode = (typeof whyCodes)[number];

export function reason(
  code: WhyCode,
  message: string,
  { fix = null, details = null }: { fix?: string | null; details?: object | null } = {},
): WhyReason {
  return { code, message, fix, details };
}

/** An argument as a shell takes it. */
export function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

export const command = (...words: string[]): string => ["millrace", ...words.map(shellWord)].join(" ");

/** Names for a sentence: `"a", "b" and 3 more`. */
export function listed(names: readonly string[], most = 5): string {
  const shown = names.slice(0, most).map((name) => `"${name}"`);
  const rest = names.length - shown.length;
  if (rest > 0) return `${shown.join(", ")} and ${rest} more`;
  return shown.length > 1 ? `${shown.slice(0, -1).join(", ")} and ${shown.at(-1)}` : (shown[0] ?? "none");
}
