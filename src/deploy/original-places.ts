import { readFile } from "node:fs/promises";
import { dirname, extname } from "node:path";
import { pathToFileURL } from "node:url";
import type { Loader, Plugin } from "esbuild";

/*
 * A bundled file stands in another folder than the author's. Where a file asks for its own place, the answer is put in
 * as a constant of that file, in front of its first line so that no line moves.
 */

/** The expressions that ask, and the constants that answer; esbuild replaces only those that no local name hides. */
export const placeNames = {
  "import.meta.url": "__millrace_url",
  "import.meta.filename": "__millrace_filename",
  "import.meta.dirname": "__millrace_dirname",
  "import.meta.resolve": "__millrace_resolve",
  __filename: "__millrace_filename",
  __dirname: "__millrace_dirname",
};

const loaders: Record<string, Loader> = {
  ".js": "js",
  ".mjs": "js",
  ".cjs": "js",
  ".jsx": "jsx",
  ".ts": "ts",
  ".mts": "ts",
  ".cts": "ts",
  ".tsx": "tsx",
};

export function originalPlaces(): Plugin {
  return {
    name: "original places",
    setup({ onLoad }) {
      onLoad({ filter: /\.[cm]?[jt]sx?$/ }, async ({ path }) => {
        const text = await readFile(path, "utf8");
        const prelude = preludeOf(path, text);
        return prelude === "" ? undefined : { contents: putInFront(prelude, text), loader: loaders[extname(path)]! };
      });
    },
  };
}

function preludeOf(path: string, text: string): string {
  const isAsked = (question: RegExp) => question.test(text);
  const constants: [string, string][] = [];
  if (isAsked(/\bimport\.meta\.url\b/)) constants.push(["__millrace_url", JSON.stringify(pathToFileURL(path).href)]);
  if (isAsked(/\bimport\.meta\.filename\b|\b__filename\b/))
    constants.push(["__millrace_filename", JSON.stringify(path)]);
  if (isAsked(/\bimport\.meta\.dirname\b|\b__dirname\b/))
    constants.push(["__millrace_dirname", JSON.stringify(dirname(path))]);
  // Node's own would look from the bundle's folder. This one finds what `require` finds, as a URL.
  const resolves = isAsked(/\bimport\.meta\.resolve\b/);
  if (resolves) {
    const find = `__millrace_createRequire(${JSON.stringify(path)}).resolve(id)`;
    constants.push(["__millrace_resolve", `(id) => __millrace_isBuiltin(id) ? id : __millrace_toUrl(${find}).href`]);
  }
  if (constants.length === 0) return "";
  const imports = resolves
    ? 'import { createRequire as __millrace_createRequire, isBuiltin as __millrace_isBuiltin } from "node:module"; import { pathToFileURL as __millrace_toUrl } from "node:url"; '
    : "";
  return `${imports}${constants.map(([name, value]) => `const ${name} = ${value}; `).join("")}`;
}

/** A first line like `#!/usr/bin/env node` has to stay the first. */
function putInFront(prelude: string, text: string): string {
  const afterHashbang = text.startsWith("#!") ? text.indexOf("\n") + 1 : 0;
  if (text.startsWith("#!") && afterHashbang === 0) return text;
  return text.slice(0, afterHashbang) + prelude + text.slice(afterHashbang).replace(/^\uFEFF/, "");
}
