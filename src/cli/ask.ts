import { createInterface } from "node:readline";
import { Writable } from "node:stream";
import type { Terminal } from "./print.js";

/** More than any token, and an end to whatever is piped in by mistake. */
const MAX_SECRET_CHARS = 10_000;

/** Asks at the terminal without showing what is typed; with no terminal, the first line of standard input is the answer. */
export async function askSecret(question: string, terminal: Terminal): Promise<string> {
  if (!process.stdin.isTTY) return firstLineOfInput();
  terminal.write(question);
  // What readline would echo goes nowhere.
  const silent = new Writable({ write: (_chunk, _encoding, done) => done() });
  const lines = createInterface({ input: process.stdin, output: silent, terminal: true });
  try {
    return await new Promise<string>((resolve) => {
      lines.once("line", resolve);
      lines.once("close", () => resolve(""));
    });
  } finally {
    lines.close();
    terminal.write("\n");
  }
}

async function firstLineOfInput(): Promise<string> {
  let text = "";
  for await (const chunk of process.stdin.setEncoding("utf8")) {
    text += chunk as string;
    if (text.includes("\n") || text.length > MAX_SECRET_CHARS) break;
  }
  return text.split("\n")[0] ?? "";
}
