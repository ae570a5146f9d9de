/**
 * Whether an agent with these labels may take a run with those: every label of the run must be one of the agent's, and
 * a run without labels goes only to an agent without labels (the rule of Prefect 1.x, section 2.8 of its queue).
 */
export function agentTakes(runLabels: readonly string[], agentLabels: readonly string[]): boolean {
  if (runLabels.length === 0) return agentLabels.length === 0;
  return runLabels.every((label) => agentLabels.includes(label));
}

/** Labels in the one form that is stored and compared: trimmed, without doubles, sorted. */
export function normalizeLabels(labels: readonly string[]): string[] {
  return [...new Set(labels.map((label) => label.trim()).filter((label) => label !== ""))].sort();
}
