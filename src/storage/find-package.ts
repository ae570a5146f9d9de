import { existsSync, readFileSync, realpathSync } from "node:fs";
import { createRequire } from "node:module";
import { join, resolve } from "node:path";
import type { ExternalPackage } from "../codec/saved-flow.js";
import { MillraceError } from "../core/errors.js";

/**
 * The folder and version of a package that stays outside the bundle, as the project finds it: looked for in the
 * `node_modules` folders upwards, which works for packages that export no package.json.
 * @throws PACKAGE_NOT_FOUND
 */
export function findPackage(
  { name, from }: Pick<ExternalPackage, "name" | "from">,
  projectFolder: string,
): { folder: string; version: string } {
  const start = resolve(projectFolder, from);
  // paths() is null for built-in modules only, and those are never external packages.
  const folders = createRequire(join(start, "package.json")).resolve.paths(name) ?? [];
  for (const folder of folders) {
    const manifest = join(folder, name, "package.json");
    if (!existsSync(manifest)) continue;
    const { version } = JSON.parse(readFileSync(manifest, "utf8")) as { version?: string };
    return { folder: realpathSync(join(folder, name)), version: version ?? "" };
  }
  throw new MillraceError(
    "PACKAGE_NOT_FOUND",
    `The package "${name}" stays outside the saved flow, and is not found from "${start}".`,
    {
      hint: `Run \`npm install ${name}\` in that folder. A flow with such packages runs only where its project folder is installed.`,
      details: { package: name, projectFolder },
    },
  );
}
