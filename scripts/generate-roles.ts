import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rootPermissions } from "../src/server/access/guard-roots.js";
import { SCOPES, scopeMeanings } from "../src/server/access/permissions.js";

const [BEGIN, END] = ["<!-- roles: made by dist/scripts/generate-roles.js -->", "<!-- end of roles -->"];

/** The tables of docs/security.md: what each scope is for, and the roots that each set of scopes may use. */
export function rolesTables(): string {
  const meanings = SCOPES.map((scope) => `| ${scope} | ${scopeMeanings[scope]} |`);
  const bySet = new Map<string, string[]>();
  for (const [root, scopes] of rootPermissions) {
    const key = SCOPES.filter((scope) => scopes.includes(scope)).join(", ");
    bySet.set(key, [...(bySet.get(key) ?? []), root]);
  }
  const sets = [...bySet].sort(([one], [other]) => one.length - other.length || (one < other ? -1 : 1));
  const rows = sets.flatMap(([scopes, roots]) =>
    ["Mutation", "Query", "Subscription"].flatMap((type) => {
      const names = roots.filter((root) => root.startsWith(`${type}.`)).map((root) => `\`${root.split(".")[1]}\``);
      // A table's count and its one row go with its list.
      const own = names.filter((name) => !/_(aggregate|by_pk)`$/.test(name)).sort();
      return own.length === 0 ? [] : [`| ${scopes} | ${type} | ${own.join(", ")} |`];
    }),
  );
  const scopes = ["| Scope | What it is for |", "|---|---|", ...meanings];
  return [...scopes, "", "| Who may | Kind | Roots |", "|---|---|---|", ...rows].join("\n");
}

/** The page with its tables as they should be. */
export function withRoles(page: string): string {
  const [before, rest] = page.split(BEGIN);
  const after = rest?.split(END)[1];
  if (before === undefined || after === undefined)
    throw new Error("docs/security.md has lost the marks of its tables.");
  return `${before}${BEGIN}\n\n${rolesTables()}\n\n${END}${after}`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const file = fileURLToPath(new URL("../../docs/security.md", import.meta.url));
  writeFileSync(file, withRoles(readFileSync(file, "utf8")));
}
