import { format } from "node:util";
import type { Logger, LogLevel, LogLine } from "../core/context.js";
import { unheard } from "./task/log-prints.js";

/** A logger whose lines go to `write`, formatted as `console.log` formats. */
export function makeLogger(
  name: string,
  taskRunId: string | null,
  at: () => string,
  write: (line: LogLine) => void,
): Logger {
  const log = (level: LogLevel) => {
    return (message: unknown, ...rest: unknown[]): void => {
      const line = { at: at(), level, name: `millrace.${name}`, message: format(message, ...rest), taskRunId };
      unheard(() => write(line));
    };
  };
  return { debug: log("DEBUG"), info: log("INFO"), warn: log("WARNING"), error: log("ERROR") };
}
