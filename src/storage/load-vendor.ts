import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { type ErrorCode, MillraceError } from "../core/errors.js";

const OWN_FOLDER = dirname(fileURLToPath(import.meta.url));

/**
 * A vendor's package, which users install when they use that vendor. It is looked for as Millrace's own dependency, and
 * then from the folder the process runs in, which finds a project's package when Millrace itself is installed elsewhere.
 * @param load `() => import("<name>")`
 * @throws STORAGE_PACKAGE_MISSING, or what `code` says
 */
export async function loadVendor<Module extends object>(
  name: string,
  load: () => Promise<Module>,
  folder: string = process.cwd(),
  code: ErrorCode = "STORAGE_PACKAGE_MISSING",
): Promise<Module> {
  try {
    return await load();
  } catch (error) {
    if (!isMissing(error, name)) throw unusable(name, error, code);
  }
  const file = resolveFrom(name, folder);
  if (file === undefined) {
    throw new MillraceError(
      code,
      `The package "${name}" is not installed: it was looked for from "${OWN_FOLDER}" and from "${folder}".`,
      { hint: `Run \`npm install ${name}\` in the folder where Millrace is installed.`, details: { package: name } },
    );
  }
  try {
    const module = (await import(pathToFileURL(file).href)) as Module & { default?: Module };
    // A CommonJS file: its names are those of its one export.
    return module.default ?? module;
  } catch (error) {
    throw unusable(name, error, code);
  }
}

function resolveFrom(name: string, folder: string): string | undefined {
  try {
    return createRequire(join(folder, "package.json")).resolve(name);
  } catch {
    return undefined;
  }
}

/** The package itself, not one that it needs in turn. */
function isMissing(error: unknown, name: string): boolean {
  const { code, message } = error as NodeJS.ErrnoException;
  // An error that came through loader hooks, which run on a thread of their own, may have lost its code.
  const isNotFound = code === "ERR_MODULE_NOT_FOUND" || message.startsWith("Cannot find package");
  return isNotFound && message.includes(`'${name}'`);
}

function unusable(name: string, cause: unknown, code: ErrorCode): MillraceError {
  return new MillraceError(code, `The package "${name}" cannot be loaded: ${(cause as Error).message}`, {
    hint: `Run \`npm install ${name}\` again.`,
    cause,
    details: { package: name },
  });
}
