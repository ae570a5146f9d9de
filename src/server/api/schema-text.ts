import { readdirSync, readFileSync } from "node:fs";

/** The contract as text: the files of a folder, by default those beside this one. */
export function readSchemaText(folder: URL = new URL("./schema/", import.meta.url)): string {
  const names = readdirSync(folder).filter((name) => name.endsWith(".graphql"));
  return names
    .sort()
    .map((name) => readFileSync(new URL(name, folder), "utf8"))
    .join("\n");
}
