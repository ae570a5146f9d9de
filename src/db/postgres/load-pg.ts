import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type Pg from "pg";
import { MillraceError } from "../../core/errors.js";

/** The driver, which users install when their Cloud is on Postgres. */
export type PgModule = typeof Pg;

/**
 * Looks for the package `pg` as Millrace's own dependency, and then from the folder the process runs in.
 * @throws DATABASE_PACKAGE_MISSING
 */
export async function loadPg(
  load: () => Promise<unknown> = () => import("pg"),
  folder: string = process.cwd(),
): Promise<PgModule> {
  try {
    return exportsOf(await load());
  } catch (error) {
    if (!isMissing(error)) throw unusable(error);
  }
  const file = resolveFrom(folder);
  if (file === undefined) {
    throw new MillraceError(
      "DATABASE_PACKAGE_MISSING",
      'A Postgres database needs the package "pg", and it is not installed.',
      {
        hint: "Run `npm install pg` in the folder where Millrace is installed.",
        details: { package: "pg" },
      },
    );
  }
  try {
    return exportsOf(await import(pathToFileURL(file).href));
  } catch (error) {
    throw unusable(error);
  }
}

/** A CommonJS package: its names are those of its one export. */
function exportsOf(module: unknown): PgModule {
  return ((module as { default?: PgModule }).default ?? module) as PgModule;
}

function resolveFrom(folder: string): string | undefined {
  try {
    return createRequire(join(folder, "package.json")).resolve("pg");
  } catch {
    return undefined;
  }
}

function isMissing(error: unknown): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  // An error that came through loader hooks, which run on a thread of their own, may have lost its code.
  return (code === "ERR_MODULE_NOT_FOUND" || message.startsWith("Cannot find package")) && message.includes("'pg'");
}

function unusable(cause: unknown): MillraceError {
  return new MillraceError(
    "DATABASE_PACKAGE_MISSING",
    `The package "pg" cannot be loaded: ${(cause as Error).message}`,
    {
      hint: "Run `npm install pg` again.",
      cause,
      details: { package: "pg" },
    },
  );
}
