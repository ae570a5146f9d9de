import { MillraceError } from "../../core/errors.js";

/** @throws INPUT_INVALID for a name of nothing but blanks */
export function checkName(mutation: string, name: string): void {
  if (name.trim() !== "") return;
  throw new MillraceError("INPUT_INVALID", `${mutation}: \`name\` must not be empty.`);
}
