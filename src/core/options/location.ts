import { MillraceError } from "../errors.js";
import type { Location, LocationNames } from "./result-options.js";

/** A template's literal text, or the way to a value, for instance `["parameters", "day"]`. */
type Piece = string | readonly string[];

/** The names that a template may begin with; a record, so that a new one cannot be forgotten. */
const known: Record<keyof LocationNames, true> = {
  flowName: true,
  flowRunId: true,
  flowRunName: true,
  taskName: true,
  taskSlug: true,
  taskRunId: true,
  mapIndex: true,
  runCount: true,
  scheduledStartAt: true,
  parameters: true,
  inputs: true,
};

/** Longer texts are cut in messages. */
const MAX_SHOWN = 120;

/**
 * Fills a template such as `"{flowName}/{parameters.day}/{inputs.0}.json"`, or asks the author's function. `{{` and `}}`
 * stand for braces. Good for any text that names a task run; for a place, see {@link toPlace}.
 * @throws RESULT_LOCATION_INVALID for a name that is not there or has no text, naming it; what the author's function throws
 */
export function fillLocation(location: Location, names: LocationNames): string {
  if (typeof location === "function") {
    const made: unknown = location(names);
    if (typeof made === "string") return made;
    throw invalid(`A function that names a result's location gave ${show(made)}, which is no text.`);
  }
  return parse(location)
    .map((piece) => (typeof piece === "string" ? piece : textAt(piece, names, location)))
    .join("");
}

/** For authors' options, before anything runs. @throws RESULT_LOCATION_INVALID */
export function checkLocation(location: Location): void {
  if (typeof location === "function") return;
  if (typeof location !== "string") throw invalid(`A location is a template or a function, and was ${show(location)}.`);
  if (parse(location).length === 0) throw invalid("The location of a result is empty.");
  for (const piece of parse(location)) if (typeof piece !== "string") checkName(piece, location);
}

/**
 * The location as a path below a folder or prefix, with `/` between its parts.
 * @throws RESULT_LOCATION_INVALID for one that is empty, names a folder, or leads out
 */
export function toPlace(location: string): string {
  const parts = location.split(/[/\\]/);
  const shown = show(location);
  if (location.trim() === "") throw invalid("The location of a result is empty.");
  if (location.includes("\0")) throw invalid(`The location ${shown} holds a zero character.`);
  if (parts[0] === "" || /^[a-z]:/i.test(location))
    throw invalid(
      `The location ${shown} is absolute.`,
      "Give the folder or prefix where the results are kept, and here a path inside it.",
    );
  if (parts.includes(".."))
    throw invalid(
      `The location ${shown} leads out of where the results are kept.`,
      "Leave `..` out; it may come from a parameter or input that the template names.",
    );
  const inside = parts.filter((part) => part !== "" && part !== ".");
  if (inside.length === 0 || parts.at(-1) === "" || parts.at(-1) === ".")
    throw invalid(`The location ${shown} names a folder.`, "Add a name for the result.");
  return inside.join("/");
}

function parse(template: string): Piece[] {
  const pieces: Piece[] = [];
  let text = "";
  let at = 0;
  while (at < template.length) {
    const char = template[at]!;
    if ((char === "{" || char === "}") && template[at + 1] === char) {
      text += char;
      at += 2;
      continue;
    }
    if (char === "}") throw invalid(`The template ${show(template)} closes a brace that it did not open.`, BRACES);
    if (char !== "{") {
      text += char;
      at += 1;
      continue;
    }
    const end = template.indexOf("}", at);
    if (end < 0) throw invalid(`The template ${show(template)} opens a brace that it does not close.`, BRACES);
    if (text !== "") pieces.push(text);
    text = "";
    pieces.push(
      template
        .slice(at + 1, end)
        .trim()
        .split("."),
    );
    at = end + 1;
  }
  return text === "" ? pieces : [...pieces, text];
}

const BRACES = "Write `{{` and `}}` for braces that are meant as such.";

function checkName(path: readonly string[], template: string): void {
  const [first, ...rest] = path as [string, ...string[]];
  if (!Object.hasOwn(known, first)) {
    throw invalid(
      `The template ${show(template)} names "${path.join(".")}", and there is no "${first}".`,
      `There are: ${Object.keys(known).join(", ")}.`,
    );
  }
  const whole = first === "parameters" || first === "inputs";
  if (whole && rest.length === 0) {
    const example = first === "inputs" ? "{inputs.0}" : "{parameters.day}";
    throw invalid(
      `The template ${show(template)} names all ${first} at once.`,
      `Say which one, for instance \`${example}\`.`,
    );
  }
}

function textAt(path: readonly string[], names: LocationNames, template: string): string {
  checkName(path, template);
  let value: unknown = names;
  for (const key of path) {
    // Only what the value itself holds: no `constructor`, nor the length of a text.
    value =
      typeof value === "object" && value !== null && Object.hasOwn(value, key)
        ? (value as Record<string, unknown>)[key]
        : undefined;
  }
  if (typeof value === "string" || typeof value === "boolean" || typeof value === "bigint") return String(value);
  if (typeof value === "number" && Number.isFinite(value)) return String(value);
  if (value instanceof Date && !Number.isNaN(value.getTime())) return value.toISOString();
  const found = value === undefined || value === null ? `is ${value === null ? "null" : "not there"}` : "is no text";
  throw invalid(
    `The template ${show(template)} names "${path.join(".")}", which ${found} in this run.`,
    "Name a text, a number or a date; a function may make one of anything else.",
  );
}

function show(value: unknown): string {
  if (typeof value !== "string") return value === null ? "null" : `a value of the type ${typeof value}`;
  return JSON.stringify(value.length > MAX_SHOWN ? `${value.slice(0, MAX_SHOWN)}…` : value);
}

function invalid(message: string, hint?: string): MillraceError {
  return new MillraceError("RESULT_LOCATION_INVALID", message, hint === undefined ? {} : { hint });
}
