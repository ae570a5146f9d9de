import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import ts from "typescript";

/** The repository's folder; this file is compiled into `dist/test/helpers`. */
export const repositoryFolder = join(import.meta.dirname, "..", "..", "..");

/** One import of one file, whichever way it is written. */
export interface ImportLine {
  /** As written, for instance `../core/errors.js` or `node:fs`. */
  readonly specifier: string;
  /** For a relative import: the source file, seen from the repository; undefined for a package. */
  readonly file: string | undefined;
  readonly kind: "static" | "dynamic" | "export";
  /** True when nothing of it is left at run time. */
  readonly typeOnly: boolean;
  /** The exported names that are taken; empty for a dynamic import. */
  readonly names: readonly string[];
  readonly line: number;
}

/** One TypeScript file of the repository. */
export interface SourceFile {
  /** Seen from the repository, with forward slashes: `src/core/errors.ts`. */
  readonly path: string;
  readonly text: string;
  readonly lines: number;
  readonly tree: ts.SourceFile;
  readonly imports: readonly ImportLine[];
}

/** Every file below `folder` (seen from the repository), sorted; folders in `skip` are not entered. */
export function filesBelow(folder: string, skip: readonly string[] = []): string[] {
  const absolute = join(repositoryFolder, folder);
  if (!existsSync(absolute)) return [];
  return readdirSync(absolute, { withFileTypes: true })
    .flatMap((entry) => {
      const path = folder === "" ? entry.name : `${folder}/${entry.name}`;
      if (entry.isDirectory()) return skip.includes(entry.name) ? [] : filesBelow(path, skip);
      return entry.isFile() ? [path] : [];
    })
    .sort();
}

/** The TypeScript files below the given folders, parsed. The dashboard is browser code with a compile of its own. */
export function sourceFiles(...folders: readonly string[]): SourceFile[] {
  return folders
    .flatMap((folder) => filesBelow(folder, ["dashboard"]))
    .filter((path) => path.endsWith(".ts"))
    .map(parse);
}

function parse(path: string): SourceFile {
  const text = readFileSync(join(repositoryFolder, path), "utf8");
  const tree = ts.createSourceFile(path, text, ts.ScriptTarget.ESNext, true);
  const imports: ImportLine[] = [];
  const visit = (part: ts.Node): void => {
    const found = readImport(path, tree, part);
    if (found) imports.push(found);
    ts.forEachChild(part, visit);
  };
  visit(tree);
  return { path, text, lines: text.trimEnd().split("\n").length, tree, imports };
}

function readImport(path: string, tree: ts.SourceFile, part: ts.Node): ImportLine | undefined {
  const found = (specifier: ts.Node | undefined, kind: ImportLine["kind"], typeOnly: boolean, names: string[]) => {
    if (!specifier || !ts.isStringLiteralLike(specifier)) return undefined;
    const line = tree.getLineAndCharacterOfPosition(part.getStart(tree)).line + 1;
    return { specifier: specifier.text, file: fileOf(path, specifier.text), kind, typeOnly, names, line };
  };
  if (ts.isImportDeclaration(part)) {
    const clause = part.importClause;
    const bindings = clause?.namedBindings;
    const named = bindings && ts.isNamedImports(bindings) ? [...bindings.elements] : [];
    const namesOnly = clause !== undefined && !clause.name && bindings !== undefined && ts.isNamedImports(bindings);
    const typeOnly =
      clause?.phaseModifier === ts.SyntaxKind.TypeKeyword ||
      (namesOnly && named.length > 0 && named.every((each) => each.isTypeOnly));
    const values = named.filter((each) => typeOnly || !each.isTypeOnly);
    const names = values.map((each) => (each.propertyName ?? each.name).text);
    return found(part.moduleSpecifier, "static", typeOnly, names);
  }
  if (ts.isExportDeclaration(part)) {
    const clause = part.exportClause;
    const named = clause && ts.isNamedExports(clause) ? [...clause.elements] : [];
    const typeOnly = part.isTypeOnly || (named.length > 0 && named.every((each) => each.isTypeOnly));
    const names = named.map((each) => (each.propertyName ?? each.name).text);
    return found(part.moduleSpecifier, "export", typeOnly, names);
  }
  if (ts.isImportTypeNode(part) && ts.isLiteralTypeNode(part.argument)) {
    return found(part.argument.literal, "static", true, []);
  }
  const isDynamic = ts.isCallExpression(part) && part.expression.kind === ts.SyntaxKind.ImportKeyword;
  return isDynamic ? found(part.arguments[0], "dynamic", false, []) : undefined;
}

function fileOf(importer: string, specifier: string): string | undefined {
  if (!specifier.startsWith(".")) return undefined;
  const target = join(repositoryFolder, dirname(importer), specifier);
  return relative(repositoryFolder, target).replaceAll("\\", "/").replace(/\.js$/, ".ts");
}

/** The package that an import takes from: `@scope/name`, `name`, or `node:fs`; undefined for a file of ours. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith(".")) return undefined;
  if (specifier.startsWith("node:")) return specifier;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
