import { relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { type BuildFailure, build, type Message } from "esbuild";
import type { ExternalPackage, FlowBundle } from "../codec/saved-flow.js";
import { MillraceError } from "../core/errors.js";
import { BUNDLE_FILE } from "../storage/unpack.js";
import { ExternalPackages, externalPackages } from "./external-packages.js";
import { originalPlaces, placeNames } from "./original-places.js";

/** The oldest Node that Millrace runs on: newer syntax is rewritten for it. */
const TARGET = "node22.13";

export interface BundleRequest {
  /** The author's module, absolute. */
  entry: string;
  /** The folder of its nearest package.json, absolute. */
  projectFolder: string;
  /** Packages that the author wants outside. */
  external: readonly string[];
  /** Take only the author's own files in, and load every package from where it is installed. Default false. */
  packagesInPlace?: boolean;
}

export interface Bundled {
  bundle: FlowBundle;
  /** What stayed outside, sorted by name. */
  external: ExternalPackage[];
}

/**
 * The author's module with its neighbours and npm packages as one ES module, and a source map to the files as they were
 * written. Unchanged files give unchanged bytes.
 *
 * - `millrace` stays outside, and so do packages with native code and those that the author lists.
 * - `import.meta.url`, `__dirname` and the like keep meaning the original file, so that code which reads files beside
 *   itself finds them on the machine that deployed it. (On another machine they are not there: import such data.)
 * - Nothing of the author's own is dropped for being unused; of packages, what they themselves declare free of effects.
 * - Names are not kept by wrapping functions: a function that is sent elsewhere as text (a browser's `evaluate`) would
 *   then fail. The price: of two classes with one name in one bundle, the second is called `Name2`.
 *
 * @throws BUNDLE_FAILED, naming file, line and source line; PACKAGE_NOT_FOUND
 */
export async function bundleModule(request: BundleRequest): Promise<Bundled> {
  const { entry, projectFolder, external } = request;
  const packages = new ExternalPackages(projectFolder, external, request.packagesInPlace);
  try {
    const { outputFiles } = await build({
      absWorkingDir: projectFolder,
      entryPoints: [entry],
      outfile: resolve(projectFolder, BUNDLE_FILE),
      write: false,
      bundle: true,
      format: "esm",
      platform: "node",
      target: TARGET,
      charset: "utf8",
      sourcemap: "external",
      sourcesContent: true,
      legalComments: "none",
      logLevel: "silent",
      define: placeNames,
      plugins: [externalPackages(packages), originalPlaces()],
    });
    const [map, code] = [".mjs.map", ".mjs"].map((end) => outputFiles.find((file) => file.path.endsWith(end))!.text);
    return { bundle: finish(code!, map!, projectFolder), external: packages.listed() };
  } catch (cause) {
    throw isBuildFailure(cause) ? bundleFailed(cause, relative(projectFolder, entry)) : cause;
  }
}

/**
 * Puts one line before the code, or in place of an author's `#!` line. CommonJS packages may ask for built-in modules by `require`, which an ES module does
 * not have; esbuild's `__require` then looks for one. Where nobody asks there must be none: an author's own
 * `const require = createRequire(import.meta.url)` would clash with it.
 */
function finish(code: string, mapText: string, projectFolder: string): FlowBundle {
  const firstLine = code.includes("var __require = ")
    ? 'import { createRequire as __millrace_createRequire } from "node:module"; const require = __millrace_createRequire(import.meta.url);'
    : "// Made by Millrace from the files that its source map names.";
  const map = JSON.parse(mapText) as { sources: string[]; mappings: string };
  // Absolute: stack traces and breakpoints then name the author's files wherever the bundle is unpacked.
  map.sources = map.sources.map((source) => pathToFileURL(resolve(projectFolder, source)).href);
  const hashbang = /^#!.*\n/.exec(code)?.[0] ?? "";
  if (hashbang === "") map.mappings = `;${map.mappings}`;
  const encoder = new TextEncoder();
  return {
    code: encoder.encode(`${firstLine}\n${code.slice(hashbang.length)}\n//# sourceMappingURL=${BUNDLE_FILE}.map\n`),
    map: encoder.encode(JSON.stringify(map)),
  };
}

function isBuildFailure(error: unknown): error is BuildFailure {
  return error instanceof Error && Array.isArray((error as BuildFailure).errors);
}

/** At most this many errors are shown: the first is nearly always the one to mend. */
const MAX_SHOWN = 5;

function bundleFailed(cause: BuildFailure, entry: string): MillraceError {
  // An error of ours that a plugin threw comes back inside esbuild's own.
  const own = cause.errors.map(({ detail }) => detail as unknown).find((detail) => detail instanceof MillraceError);
  if (own) return own;
  const shown = cause.errors.slice(0, MAX_SHOWN).map(describeMessage);
  if (cause.errors.length > MAX_SHOWN) shown.push(`and ${cause.errors.length - MAX_SHOWN} more`);
  const unresolved = cause.errors.some(({ text }) => text.startsWith("Could not resolve"));
  return new MillraceError("BUNDLE_FAILED", `"${entry.split(sep).join("/")}" cannot be bundled:\n${shown.join("\n")}`, {
    hint: unresolved
      ? "Install the package, or correct the path. A package that cannot be bundled can stay outside: list it in the flow's `external` option."
      : "Correct the source. Where the fault is in a package, list it in the flow's `external` option, and it stays outside.",
    details: cause.errors.slice(0, MAX_SHOWN).map(({ text, location }) => ({
      text,
      file: location?.file ?? null,
      line: location?.line ?? null,
      column: location === null ? null : location.column + 1,
    })),
  });
}

function describeMessage({ text, location }: Message): string {
  if (!location) return `  ${text}`;
  return `  ${location.file}:${location.line}:${location.column + 1}: ${text}\n    ${location.lineText.trim()}`;
}
