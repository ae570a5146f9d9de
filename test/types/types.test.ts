import { existsSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import ts from "typescript";
import { filesBelow, repositoryFolder } from "../helpers/source-tree.js";

const DIRECTIVE = "// @ts-expect-error";
const typeTests = filesBelow("test/types").filter((path) => path.endsWith(".ts") && !path.endsWith(".test.ts"));
const configFile = join(repositoryFolder, "tsconfig.json");
const config = ts.parseJsonConfigFileContent(
  ts.readConfigFile(configFile, ts.sys.readFile).config,
  ts.sys,
  repositoryFolder,
);

t.test("the type tests are part of the repository's compile", async (t) => {
  t.ok(typeTests.length >= 4);
  for (const path of typeTests) {
    t.ok(config.fileNames.includes(join(repositoryFolder, path)), `${path} is among the files of tsconfig.json`);
    t.ok(existsSync(join(repositoryFolder, "dist", path.replace(/\.ts$/, ".js"))), `${path} was compiled`);
  }
  t.equal(config.options.strict, true);
});

t.test("every line marked as wrong is wrong, by itself", async (t) => {
  const host = ts.createCompilerHost(config.options);
  const read = host.getSourceFile.bind(host);
  const tests = new Map(
    typeTests.map((path) => [join(repositoryFolder, path), ts.sys.readFile(join(repositoryFolder, path))!]),
  );
  // The same files with the marks taken out: the compiler must now complain about each of those lines.
  host.getSourceFile = (fileName, version) => {
    const text = tests.get(fileName);
    return text === undefined
      ? read(fileName, version)
      : ts.createSourceFile(fileName, text.replaceAll(DIRECTIVE, "// marked"), version);
  };
  const options = { ...config.options, noEmit: true, declaration: false };
  const program = ts.createProgram([...tests.keys()], options, host);
  let marked = 0;
  for (const [path, text] of tests) {
    const file = program.getSourceFile(path)!;
    const found = program
      .getSemanticDiagnostics(file)
      .map((each) => file.getLineAndCharacterOfPosition(each.start!).line);
    const expected = text.split("\n").flatMap((line, index) => (line.includes(DIRECTIVE) ? [index + 1] : []));
    marked += expected.length;
    t.same(
      expected.filter((line) => !found.includes(line)),
      [],
      `${path}: each marked line has an error`,
    );
    t.same(
      found.filter((line) => !expected.includes(line)),
      [],
      `${path}: no other line has one`,
    );
  }
  t.ok(marked > 50, `${marked} lines that must not compile`);
});
