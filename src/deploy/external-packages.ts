import { existsSync, readdirSync, readFileSync, realpathSync } from "node:fs";
import { isBuiltin } from "node:module";
import { join, relative, resolve, sep } from "node:path";
import { pathToFileURL } from "node:url";
import type { OnResolveArgs, OnResolveResult, Plugin, PluginBuild } from "esbuild";
import type { ExternalPackage } from "../codec/saved-flow.js";
import { MillraceError } from "../core/errors.js";
import { findPackage } from "../storage/find-package.js";

const PACKAGES = `${sep}node_modules${sep}`;
/** Marks a resolution that this plugin asked for itself. */
const ASKED = Symbol("asked by external packages");

/** The packages that stay outside one bundle: those the author lists, and those found to carry native code. */
export class ExternalPackages {
  /** Leave every package where it is, to be loaded from there: for a bundle that is loaded once and not kept. */
  readonly inPlace: boolean;
  readonly #found = new Map<string, ExternalPackage & { folder: string }>();
  readonly #native = new Map<string, boolean>();
  readonly #projectFolder: string;
  readonly #wanted: ReadonlySet<string>;

  constructor(projectFolder: string, wanted: readonly string[], inPlace = false) {
    this.inPlace = inPlace;
    this.#projectFolder = projectFolder;
    this.#wanted = new Set(wanted);
  }

  isWanted(name: string): boolean {
    return this.#wanted.has(name);
  }

  /** Does the package in that folder carry native code? */
  isNative(folder: string): boolean {
    const known = this.#native.get(folder);
    if (known !== undefined) return known;
    const native = carriesNativeCode(folder);
    this.#native.set(folder, native);
    return native;
  }

  /** Leaves a package outside that a file in `importerFolder` imports. @throws PACKAGE_NOT_FOUND */
  add(name: string, importerFolder: string): void {
    const seen = this.#seenFrom(name, importerFolder);
    const known = this.#found.get(name);
    if (known && known.folder !== seen.folder) {
      throw new MillraceError(
        "BUNDLE_FAILED",
        `The package "${name}" has to stay outside the bundle, and is there twice: "${known.folder}" and "${seen.folder}".`,
        {
          hint: `Install one version for all (\`npm dedupe\`), or list the package that needs the second in the flow's \`external\` option.`,
        },
      );
    }
    if (!known) this.#found.set(name, seen);
  }

  listed(): ExternalPackage[] {
    return [...this.#found.values()]
      .map(({ name, version, from }) => ({ name, version, from }))
      .sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** From the project folder if it sees the same package as the importer; otherwise from the importer's own folder. */
  #seenFrom(name: string, importerFolder: string): ExternalPackage & { folder: string } {
    const fromImporter = findPackage({ name, from: importerFolder }, this.#projectFolder);
    const fromProject = tryFind(name, this.#projectFolder);
    const from =
      fromProject?.folder === fromImporter.folder
        ? "."
        : relative(this.#projectFolder, importerFolder).split(sep).join("/");
    return { name, version: fromImporter.version, from, folder: fromImporter.folder };
  }
}

function tryFind(name: string, projectFolder: string): { folder: string } | undefined {
  try {
    return findPackage({ name, from: "." }, projectFolder);
  } catch {
    return undefined;
  }
}

/** Keeps `millrace`, built-in modules, native addons and external packages out of the bundle. */
export function externalPackages(packages: ExternalPackages): Plugin {
  return {
    name: "external packages",
    setup(build) {
      build.onResolve({ filter: /^millrace($|\/)/ }, ({ path }) => ({ path, external: true }));
      build.onResolve({ filter: /\.node$/ }, (args) => leaveAddon(build, args));
      build.onResolve({ filter: /^[^./]/ }, (args) => resolvePackage(build, packages, args));
      build.onResolve({ filter: /^\.{1,2}(\/|$)/ }, (args) => resolveNeighbour(build, args));
    },
  };
}

async function resolvePackage(
  build: PluginBuild,
  packages: ExternalPackages,
  args: OnResolveArgs,
): Promise<OnResolveResult | undefined> {
  const { path, kind, pluginData } = args;
  if (pluginData === ASKED || kind === "entry-point" || isBuiltin(path)) return undefined;
  const name = packageName(path);
  if (packages.isWanted(name)) {
    packages.add(name, args.resolveDir);
    return { path, external: true };
  }
  const found = await build.resolve(path, {
    kind,
    importer: args.importer,
    resolveDir: args.resolveDir,
    pluginData: ASKED,
  });
  if (found.errors.length > 0 || found.external) return undefined;
  const folder = packageFolder(found.path);
  // A package of the same repository, reached by a link or by the paths of a tsconfig, is the author's own code.
  if (folder === undefined) return ownModule(found);
  if (packages.inPlace) {
    return {
      path: kind === "import-statement" || kind === "dynamic-import" ? pathToFileURL(found.path).href : found.path,
      external: true,
    };
  }
  if (!packages.isNative(folder)) return undefined;
  packages.add(name, args.resolveDir);
  return { path, external: true };
}

/** An author's module is never dropped as free of effects, whatever its package.json says: defining a flow is one. */
async function resolveNeighbour(build: PluginBuild, args: OnResolveArgs): Promise<OnResolveResult | undefined> {
  const { path, kind, importer, resolveDir, pluginData } = args;
  if (pluginData === ASKED || kind === "entry-point" || importer.includes(PACKAGES)) return undefined;
  const found = await build.resolve(path, { kind, importer, resolveDir, pluginData: ASKED });
  if (found.errors.length > 0) return undefined;
  return found.path.endsWith(".node") ? { path: realpathSync(found.path), external: true } : ownModule(found);
}

function ownModule({ path, namespace, suffix }: { path: string; namespace: string; suffix: string }): OnResolveResult {
  return { path, namespace, suffix, sideEffects: true };
}

/** A native addon named by its path is loaded from where it is. One inside a package makes that package external already. */
async function leaveAddon(
  build: PluginBuild,
  { path, kind, importer, resolveDir, pluginData }: OnResolveArgs,
): Promise<OnResolveResult | undefined> {
  if (pluginData === ASKED || kind === "entry-point" || !/^\.{0,2}\//.test(path)) return undefined;
  const found = await build.resolve(path, { kind, importer, resolveDir, pluginData: ASKED });
  return found.errors.length > 0 ? undefined : { path: realpathSync(found.path), external: true };
}

/** `@scope/name/inside` → `@scope/name` */
export function packageName(specifier: string): string {
  return specifier.split("/", specifier.startsWith("@") ? 2 : 1).join("/");
}

/** The package that a file belongs to; undefined for a file that lies in no `node_modules`. */
function packageFolder(file: string): string | undefined {
  const at = file.lastIndexOf(PACKAGES);
  if (at < 0) return undefined;
  const inside = file
    .slice(at + PACKAGES.length)
    .split(sep)
    .join("/");
  return resolve(file.slice(0, at + PACKAGES.length), packageName(inside));
}

/** Packages that exist to load or build native code; who depends on them has some. */
const NATIVE_HELPERS = [
  "bindings",
  "node-gyp-build",
  "node-gyp-build-optional-packages",
  "prebuild-install",
  "node-addon-api",
  "nan",
  "@mapbox/node-pre-gyp",
  "pkg-prebuilds",
  "cmake-js",
  "@napi-rs/cli",
];
/** An optional dependency for one platform, such as `@img/sharp-linux-x64`. */
const PLATFORM_PACKAGE = /(linux|darwin|win32|freebsd|android).*(x64|arm|ia32|x86|wasm)/;

interface PackageManifest {
  gypfile?: boolean;
  binary?: unknown;
  napi?: unknown;
  os?: unknown;
  cpu?: unknown;
  dependencies?: Record<string, string>;
  optionalDependencies?: Record<string, string>;
}

function carriesNativeCode(folder: string): boolean {
  const file = join(folder, "package.json");
  if (!existsSync(file)) return false;
  const manifest = JSON.parse(readFileSync(file, "utf8")) as PackageManifest;
  const { dependencies = {}, optionalDependencies = {} } = manifest;
  if (manifest.gypfile || manifest.binary || manifest.napi || (manifest.os && manifest.cpu)) return true;
  if (NATIVE_HELPERS.some((name) => name in dependencies || name in optionalDependencies)) return true;
  if (Object.keys(optionalDependencies).some((name) => PLATFORM_PACKAGE.test(name))) return true;
  return readdirSync(folder).some((name) => name === "binding.gyp" || name === "prebuilds" || name.endsWith(".node"));
}
