import { MillraceError } from "./errors.js";
import type { Location, LocationNames } from "./result-options.js";

/**
 * The text that a template or function gives for one task run. In a template `{taskName}` stands for a name of
 * {@link LocationNames}, and `{parameters.day}` or `{inputs.0.id}` for what lies further in.
 * @throws TASK_OPTIONS_INVALID where it names what is not there, or gives no text; what the author's function throws
 */
export function fillLocation(location: Location, names: LocationNames): string {
  if (typeof location === "function") return asText(location(names), "function");
  return asText(
    location.replace(/\{([^{}]+)\}/g, (_, path: string) => valueAt(path.trim(), location, names)),
    `template "${location}"`,
  );
}

function valueAt(path: string, template: string, names: LocationNames): string {
  let at: unknown = names;
  for (const key of path.split(".")) {
    at =
      typeof at === "object" && at !== null && Object.hasOwn(at, key)
        ? (at as Record<string, unknown>)[key]
        : undefined;
  }
  if (at === undefined || typeof at === "function" || typeof at === "symbol") {
    throw new MillraceError("TASK_OPTIONS_INVALID", `The template "${template}" names {${path}}, which is not there.`, {
      hint: `There are: ${Object.keys(names).join(", ")}; with a point further in, for instance {parameters.day}.`,
    });
  }
  if (at instanceof Date) return at.toISOString();
  return typeof at === "object" ? JSON.stringify(at) : String(at);
}

function asText(text: unknown, what: string): string {
  if (typeof text === "string" && text.trim() !== "") return text;
  throw new MillraceError("TASK_OPTIONS_INVALID", `The ${what} gave ${JSON.stringify(text)} in place of a name.`);
}
