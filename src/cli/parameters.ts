import { readFileSync } from "node:fs";
import { MillraceError } from "../core/errors.js";
import { usage } from "./command.js";

/**
 * The parameters of a run: a JSON file's first, then each `name=value`. A value is JSON; what is not JSON is a string as it
 * stands, so that `--param city=Oslo` needs no quotes.
 * @throws USAGE, FILE_NOT_FOUND
 */
export function readParameters(pairs: readonly string[], file: string | undefined): Record<string, unknown> {
  const parameters = file === undefined ? {} : readParameterFile(file);
  for (const pair of pairs) {
    const at = pair.indexOf("=");
    if (at < 1) throw usage(`--param takes name=value, and was given "${pair}".`, "For instance --param city=Oslo.");
    parameters[pair.slice(0, at)] = readValue(pair.slice(at + 1));
  }
  return parameters;
}

/** JSON, or the text as it stands. */
export function readValue(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function readParameterFile(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    throw new MillraceError(
      "FILE_NOT_FOUND",
      `The parameter file "${file}" cannot be read: ${(cause as Error).message}.`,
      {
        hint: "Give --param-file the path of a JSON file.",
        cause,
      },
    );
  }
  try {
    const value = JSON.parse(text) as unknown;
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return { ...value };
  } catch (cause) {
    throw usage(`The parameter file "${file}" is not JSON: ${(cause as Error).message}.`);
  }
  throw usage(`The parameter file "${file}" does not hold a JSON object.`, 'For instance {"city": "Oslo"}.');
}
