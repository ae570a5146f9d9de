import { existsSync, readFileSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import t, { type Test } from "tap";
import ts from "typescript";
import { errorCodes } from "../src/core/errors.js";
import { knots } from "./helpers/knots.js";
import {
  filesBelow,
  type ImportLine,
  packageOf,
  repositoryFolder,
  type SourceFile,
  sourceFiles,
} from "./helpers/source-tree.js";

/** The rings, from the inside out. A folder imports only from rings further in. Files that stand in `src` itself are the last ring. */
const rings: readonly (readonly string[])[] = [
  ["core"],
  ["codec", "schedule"],
  ["storage", "db", "client", "threads", "engine"],
  ["execute"],
  ["deploy", "server", "agent", "workers"],
  ["cli", "src"],
  ["testing"],
];

/** What the rings would allow, and a folder leaves alone all the same. */
const never: Record<string, { folders: readonly string[]; because: string }> = {
  server: {
    folders: ["engine", "storage", "threads", "client", "execute"],
    because: "the server never loads user code",
  },
  agent: { folders: ["db"], because: "an agent reaches the Cloud over the network alone" },
  workers: {
    folders: ["db", "client"],
    because: "a worker thread speaks over its run's port and never with the Cloud",
  },
  deploy: { folders: ["db"], because: "a deploy reaches the Cloud over the network alone" },
  execute: { folders: ["db", "client"], because: "a run reports through the port it is given" },
  src: { folders: ["db", "server", "cli"], because: "a user's file that imports the package must not load the Cloud" },
};

/** Types that may cross all the same: the words of the wire are written down once. */
const typesAllowed = (from: SourceFile, line: ImportLine): boolean =>
  line.typeOnly && folderOf(from.path) === "server" && /^src\/client\/(wire|cloud)/.test(line.file ?? "");

/** Each package, and the built-in modules that stand for a boundary, with the folders that may import it. */
const importers: Record<string, readonly string[]> = {
  uuid: ["core"],
  "node:v8": ["codec"],
  kysely: ["db"],
  "node:sqlite": ["db"],
  "graphql-request": ["client"],
  undici: ["client"],
  // One package, two halves: the client's and the server's.
  "graphql-sse": ["client", "server"],
  graphql: ["server"],
  piscina: ["threads"],
  comlink: ["threads"],
  esbuild: ["deploy"],
  "@aws-sdk/client-s3": ["storage"],
  "@valibot/to-json-schema": ["execute"],
  ajv: ["server"],
  dockerode: ["agent"],
  pg: ["db"],
  "prom-client": ["server"],
  "@google-cloud/storage": ["storage"],
  "@azure/storage-blob": ["storage"],
  "@azure/identity": ["storage"],
  commander: ["cli"],
  croner: ["schedule"],
  "rrule-temporal": ["schedule"],
};

/** Longer than this is worth a look (a comment in the test's output); longer than the second fails. */
const SOFT_LINES = 250;
const HARD_LINES = 400;
/** Files that may be longer, each with its reason. */
const longFiles: Record<string, string> = {
  "src/client/wire.ts": "made from the schema, one interface a type",
};

const all = sourceFiles("src", "workers");
const byPath = new Map(all.map((file) => [file.path, file]));

function folderOf(path: string): string {
  const [top, second, ...rest] = path.split("/");
  if (top === "workers") return "workers";
  return rest.length > 0 ? second! : "src";
}

const where = (file: SourceFile, line: ImportLine): string => `${file.path}:${line.line} imports ${line.specifier}`;

/** One assertion for one rule: on failure it shows the rule's text and every place that breaks it. */
function holds(t: Test, rule: string, broken: readonly string[]): void {
  t.same(broken, [], rule);
}

t.test("imports point inward only, and folders of one ring leave each other alone", async (t) => {
  const ringOf = (folder: string): number => rings.findIndex((ring) => ring.includes(folder));
  const broken: string[] = [];
  for (const file of all) {
    const from = folderOf(file.path);
    t.ok(ringOf(from) >= 0, `${file.path} lies in a folder that a ring names`);
    for (const line of file.imports) {
      if (line.file === undefined) continue;
      const to = folderOf(line.file);
      if (to === from || typesAllowed(file, line)) continue;
      if (ringOf(to) >= ringOf(from))
        broken.push(`${where(file, line)}: ${from} (ring ${ringOf(from)}) → ${to} (ring ${ringOf(to)})`);
    }
  }
  holds(
    t,
    "core ← {codec, schedule} ← {storage, db, client, threads, engine} ← execute ← {deploy, server, agent, workers} ← {cli, index}",
    broken,
  );
});

t.test("some folders leave more alone than the rings ask", async (t) => {
  for (const [folder, { folders, because }] of Object.entries(never)) {
    const broken = all
      .filter((file) => folderOf(file.path) === folder)
      .flatMap((file) => file.imports.filter((line) => !typesAllowed(file, line)).map((line) => ({ file, line })))
      .filter(({ line }) => line.file !== undefined && folders.includes(folderOf(line.file)))
      .map(({ file, line }) => where(file, line));
    holds(t, `${folder} imports nothing of ${folders.join(", ")}: ${because}`, broken);
  }
});

t.test("every relative import names a file that exists", async (t) => {
  const missing = all.flatMap((file) =>
    file.imports
      .filter(
        (line) => line.file !== undefined && !byPath.has(line.file) && !existsSync(join(repositoryFolder, line.file)),
      )
      .map((line) => where(file, line)),
  );
  holds(t, "what is imported is there", missing);
});

t.test("each package has one importing folder", async (t) => {
  const broken: string[] = [];
  for (const file of all) {
    for (const line of file.imports) {
      const name = packageOf(line.specifier);
      if (name === undefined) continue;
      const allowed = importers[name];
      if (allowed === undefined && name.startsWith("node:")) continue;
      if (!allowed?.includes(folderOf(file.path)))
        broken.push(`${where(file, line)}; allowed in: ${allowed?.join(", ") ?? "no folder"}`);
    }
  }
  holds(t, "one folder knows a package, so that one folder changes when the package does", broken);
});

t.test("built-in modules are imported with the node: prefix", async (t) => {
  const { builtinModules } = await import("node:module");
  const broken = all.flatMap((file) =>
    file.imports
      .filter((line) => builtinModules.includes(line.specifier) && !line.specifier.startsWith("node:"))
      .map((line) => where(file, line)),
  );
  holds(t, 'write "node:fs", not "fs"', broken);
});

t.test("the runtime dependencies are those that the code imports", async (t) => {
  const manifest = JSON.parse(readFileSync(join(repositoryFolder, "package.json"), "utf8"));
  const optional = Object.keys(manifest.peerDependencies);
  const declared = [...Object.keys(manifest.dependencies), ...optional].sort();
  const imported = new Set<string>();
  for (const file of all) {
    for (const line of file.imports) {
      const name = packageOf(line.specifier);
      if (name !== undefined && !name.startsWith("node:") && !line.typeOnly) imported.add(name);
    }
  }
  const listed = Object.keys(importers)
    .filter((name) => !name.startsWith("node:"))
    .sort();
  t.same(declared, listed, "package.json's dependencies are the packages of this test's list");
  holds(
    t,
    "every declared package is imported",
    declared.filter((name) => !imported.has(name)),
  );
  holds(
    t,
    "every imported package is declared",
    [...imported].filter((name) => !declared.includes(name)),
  );
  for (const [name, range] of Object.entries<string>(manifest.dependencies)) {
    t.match(range, /^\d+\.\d+\.\d+$/, `${name} is pinned to one version`);
  }
  for (const name of optional) {
    t.equal(manifest.peerDependenciesMeta[name]?.optional, true, `${name} is installed by those who need it`);
    t.match(manifest.devDependencies[name], /^\d+\.\d+\.\d+$/, `the tests run with one version of ${name}`);
  }
});

t.test("a package that users install only when they need it is loaded when it is used", async (t) => {
  const manifest = JSON.parse(readFileSync(join(repositoryFolder, "package.json"), "utf8"));
  const broken = all.flatMap((file) =>
    file.imports
      .filter((line) => (packageOf(line.specifier) ?? "") in manifest.peerDependencies)
      .filter((line) => !line.typeOnly && line.kind !== "dynamic")
      .map((line) => where(file, line)),
  );
  holds(t, "optional packages are imported by import() or for their types", broken);
});

t.test("only the command line ends the process", async (t) => {
  const broken = all
    .filter((file) => file.path !== "src/cli/main.ts")
    .flatMap((file) => callsOf(file, /^process\.(exit|abort|reallyExit)$/));
  holds(t, "process.exit is called in src/cli/main.ts and nowhere else", broken);
});

t.test("the engine knows no network, no disk and no thread", async (t) => {
  const outside = /^node:(net|http|https|http2|tls|dgram|fs|fs\/promises|child_process|cluster|worker_threads|sqlite)$/;
  const engine = all.filter((file) => folderOf(file.path) === "engine");
  const broken = engine.flatMap((file) =>
    file.imports.filter((line) => outside.test(line.specifier)).map((line) => where(file, line)),
  );
  holds(t, "the engine reaches outside through engine/ports.ts alone", [
    ...broken,
    ...engine.flatMap((file) => callsOf(file, /^(globalThis\.)?fetch$/)),
  ]);
});

t.test("apply-state is the only writer of states", async (t) => {
  const server = all.filter((file) => folderOf(file.path) === "server");
  const except = (...paths: readonly string[]) => server.filter((file) => !paths.includes(file.path));
  const writes = except("src/server/states/ledger.ts").flatMap((file) =>
    file.imports
      .filter((line) => !line.typeOnly && /^src\/db\/(states|flow-runs|task-runs)\.ts$/.test(line.file ?? ""))
      .filter((line) => line.names.some((name) => /^(insert|write)(Flow|Task)Runs?(States)?$/.test(name)))
      .map((line) => where(file, line)),
  );
  holds(t, "rows of runs and states are written by src/server/states/ledger.ts alone, when it commits", writes);
  const enters = except("src/server/states/apply-state.ts").flatMap((file) => [
    ...callsOf(file, /\b(flowRunStates|taskRunStates)\.push$/),
    ...assignmentsTo(file, /\.(state|serialized_state|state_timestamp)$/),
  ]);
  holds(t, "a run enters a state in src/server/states/apply-state.ts alone, where the move is judged", enters);
  t.ok(
    server.some((file) => callsOf(file, /\bflowRunStates\.push$/).length > 0),
    "the rule still finds the writer",
  );
});

t.test("folders are named for what is in them, not for its kind", async (t) => {
  const folders = new Set(all.flatMap((file) => file.path.split("/").slice(0, -1)));
  const broken = [...folders].filter((name) => /^(utils?|libs?|common|helpers?|types?|shared|misc)$/.test(name));
  holds(t, "no folder utils, lib, common, helpers or types in src", broken);
  const oddNames = all
    .map((file) => file.path)
    .filter((path) => !/^[a-z0-9]+(-[a-z0-9]+)*\.ts$/.test(basename(path).replace(".d.ts", ".ts")));
  holds(t, "file names are kebab-case", oddNames);
});

t.test("files stay short", async (t) => {
  const measured = [...all, ...sourceFiles("test", "bench", "scripts")];
  for (const file of measured) {
    if (file.lines > SOFT_LINES && file.lines <= HARD_LINES && !file.path.startsWith("test/"))
      t.comment(`${file.path} has ${file.lines} lines, more than ${SOFT_LINES}`);
  }
  const broken = measured
    .filter((file) => file.lines > HARD_LINES && !(file.path in longFiles))
    .map((file) => `${file.path} has ${file.lines} lines`);
  holds(t, `no file has more than ${HARD_LINES} lines, except those named in this test with a reason`, broken);
  const needless = Object.keys(longFiles).filter((path) => (byPath.get(path)?.lines ?? 0) <= HARD_LINES);
  holds(t, "the list of exceptions holds no file that is short", needless);
});

t.test("exports are named", async (t) => {
  const broken: string[] = [];
  for (const file of all.filter((each) => each.path.startsWith("src/"))) {
    for (const statement of file.tree.statements) {
      const modifiers = ts.canHaveModifiers(statement) ? (ts.getModifiers(statement) ?? []) : [];
      const isDefault =
        ts.isExportAssignment(statement) || modifiers.some((each) => each.kind === ts.SyntaxKind.DefaultKeyword);
      const isStar = ts.isExportDeclaration(statement) && statement.exportClause === undefined;
      if (isDefault) broken.push(`${file.path} has a default export`);
      if (isStar) broken.push(`${file.path} has an export *`);
    }
  }
  holds(t, "no default export and no export * in src", broken);
});

t.test("no file of src imports itself by way of others", async (t) => {
  const runtime = new Map(
    all.map((file) => [
      file.path,
      file.imports
        .filter((line) => !line.typeOnly && line.kind !== "dynamic" && line.file !== undefined)
        .map((line) => line.file!),
    ]),
  );
  holds(t, "no import knots at run time", knots(runtime));
});

t.test("every path that ARCHITECTURE.md names exists", async (t) => {
  for (const document of ["ARCHITECTURE.md", "CONTRIBUTING.md"]) {
    const text = readFileSync(join(repositoryFolder, document), "utf8");
    const named = [
      ...text.matchAll(/`((?:\.?[\w-]+\/)*[\w.-]*\.(?:ts|md|mjs|cjs|json|graphql)|(?:\.?[\w-]+\/)+(?:[\w-]+)?)`/g),
    ].map((match) => match[1]!);
    t.ok(named.length > 10, `${document} names files`);
    const isThere = (path: string) => [path, `src/${path}`].some((each) => existsSync(join(repositoryFolder, each)));
    holds(
      t,
      `${document} names no file that is not there`,
      [...new Set(named)].filter((path) => !isThere(path)),
    );
  }
  t.ok(
    readFileSync(join(repositoryFolder, "ARCHITECTURE.md"), "utf8").split("\n").length <= 201,
    "ARCHITECTURE.md has 200 lines at most",
  );
});

t.test("nothing names a folder of one machine or a package registry", async (t) => {
  const skip = ["node_modules", "dist", ".git", ".tap", ".demo"];
  const home = homedir();
  const patterns = [
    // Written in two parts, so that this file is not its own first find.
    new RegExp(`/${"work"}/(main|shared)\\b`),
    new RegExp(`/${"root"}/[\\w.]`),
    new RegExp(`\\b${"registry"}\\.[a-z0-9-]+\\.[a-z]{2,}`, "i"),
    ...(home.length > 5 ? [new RegExp(`${home.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}/`)] : []),
  ];
  const broken = filesBelow("", skip)
    .filter((path) => !/\.(png|ico|woff2?|gz|tgz|sqlite)$/.test(path))
    .flatMap((path) => {
      const text = readFileSync(join(repositoryFolder, path), "utf8");
      return patterns.filter((pattern) => pattern.test(text)).map((pattern) => `${path} matches ${pattern}`);
    });
  holds(t, "no absolute path of a home or work folder, and no registry host", broken);
});

t.test("error codes are written as words of the catalogue", async (t) => {
  const broken: string[] = [];
  for (const file of all) {
    for (const match of file.text.matchAll(/new MillraceError\(\s*"([^"]+)"/g)) {
      if (!(match[1]! in errorCodes)) broken.push(`${file.path} throws ${match[1]}`);
    }
    for (const match of file.text.matchAll(/\bthrow new (Error|TypeError|RangeError)\(/g)) {
      broken.push(`${file.path} throws a bare ${match[1]}`);
    }
  }
  holds(t, "every error thrown in src and workers is a MillraceError with a code", broken);
});

/** The calls in a file whose callee, as text, matches. */
function callsOf(file: SourceFile, callee: RegExp): string[] {
  return findParts(file, (part) =>
    ts.isCallExpression(part) && callee.test(part.expression.getText(file.tree))
      ? `calls ${part.expression.getText(file.tree)}`
      : undefined,
  );
}

/** The assignments in a file whose left side, as text, matches. */
function assignmentsTo(file: SourceFile, target: RegExp): string[] {
  return findParts(file, (part) =>
    ts.isBinaryExpression(part) &&
    part.operatorToken.kind === ts.SyntaxKind.EqualsToken &&
    target.test(part.left.getText(file.tree))
      ? `sets ${part.left.getText(file.tree)}`
      : undefined,
  );
}

/** What `look` says of the parts of a file, with their places. */
function findParts(file: SourceFile, look: (part: ts.Node) => string | undefined): string[] {
  const found: string[] = [];
  const visit = (part: ts.Node): void => {
    const said = look(part);
    if (said !== undefined)
      found.push(`${file.path}:${file.tree.getLineAndCharacterOfPosition(part.getStart(file.tree)).line + 1} ${said}`);
    ts.forEachChild(part, visit);
  };
  visit(file.tree);
  return found;
}
