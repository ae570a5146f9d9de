import { isMillraceError } from "../../core/errors.js";
import type { ServerLogLine } from "../parts.js";

/** How the server's own log is written: for people, or a JSON object a line. */
export type LogFormat = "text" | "json";

/** Writes the server's log to stderr: errors for people, everything as JSON. */
export function logToStderr(format: LogFormat = "text"): (line: ServerLogLine) => void {
  return (line) => {
    const text = format === "json" ? jsonLine(line, new Date()) : textLine(line);
    if (text !== undefined) process.stderr.write(`${text}\n`);
  };
}

/** Undefined for what people need not see. */
export function textLine({ level, message, error }: ServerLogLine): string | undefined {
  if (level !== "error") return undefined;
  const text = error instanceof Error ? (error.stack ?? error.message) : error === undefined ? "" : String(error);
  return `millrace: ${message}${text === "" ? "" : `\n${text}`}`;
}

export function jsonLine({ level, message, id, error }: ServerLogLine, at: Date): string {
  const told = error === undefined ? {} : { error: toPlain(error) };
  return JSON.stringify({ time: at.toISOString(), level, message, ...(id === undefined ? {} : { id }), ...told });
}

/** How deep causes are followed; one may name itself. */
const MAX_CAUSES = 5;

function toPlain(error: unknown, depth = 0): unknown {
  if (!(error instanceof Error)) return { message: String(error) };
  const { name, message, stack, cause } = error;
  const code = isMillraceError(error) ? error.code : (error as { code?: unknown }).code;
  const causes = cause === undefined || depth >= MAX_CAUSES ? {} : { cause: toPlain(cause, depth + 1) };
  return { name, message, ...(typeof code === "string" ? { code } : {}), stack, ...causes };
}
