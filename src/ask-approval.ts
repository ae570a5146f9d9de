import { createInterface } from "node:readline/promises";
import type { Approval, PausedTaskRun } from "./engine/ports.js";

/** Told of a task run that pauses; what it answers with resumes it. */
export type OnPause = (paused: PausedTaskRun) => Approval | Promise<Approval>;

/** Where questions are asked: standard input and standard error, unless a test says otherwise. */
export interface Asking {
  readonly input: NodeJS.ReadableStream;
  readonly output: NodeJS.WritableStream;
}

/**
 * Who answers for the paused tasks of a run that no Cloud knows of: the caller's own function, else the person at the
 * terminal; undefined when there is none.
 */
export function approver(onPause: OnPause | undefined): ((paused: PausedTaskRun) => Promise<Approval>) | undefined {
  if (onPause) return async (paused) => onPause(paused);
  if (!process.stdin.isTTY) return undefined;
  return terminalApprover({ input: process.stdin, output: process.stderr });
}

/** Asks one question after the other: `y` goes on, `n` leaves the task paused, anything else is its input as JSON. */
export function terminalApprover(asking: Asking): (paused: PausedTaskRun) => Promise<Approval> {
  let last: Promise<unknown> = Promise.resolve();
  return (paused) => {
    const answer = last.then(() => ask(paused, asking));
    last = answer.catch(() => {});
    return answer;
  };
}

async function ask({ name, message, signal, checksInput }: PausedTaskRun, asking: Asking): Promise<Approval> {
  if (signal.aborted) return "wait";
  const lines = createInterface({ ...asking, terminal: false });
  // Input that ends is no answer.
  const ended = new Promise<"wait">((resolve) => lines.once("close", () => resolve("wait")));
  try {
    asking.output.write(`Task "${name}" is paused${message === null ? "." : `: ${message}`}\n`);
    for (;;) {
      const wanted = checksInput
        ? "its input as JSON, or n to leave it paused"
        : "y to go on, n to leave it paused, or its input as JSON";
      const text = await Promise.race([lines.question(`  ${wanted}: `, { signal }), ended]);
      if (text === "wait") return text;
      const approval = readAnswer(text.trim());
      if (approval) return approval;
      asking.output.write("  That is not JSON.\n");
    }
  } catch (error) {
    if (signal.aborted) return "wait";
    throw error;
  } finally {
    lines.close();
  }
}

function readAnswer(text: string): Approval | undefined {
  if (/^(n|no|)$/i.test(text)) return "wait";
  if (/^(y|yes)$/i.test(text)) return { input: undefined };
  try {
    return { input: JSON.parse(text) as unknown };
  } catch {
    return undefined;
  }
}
