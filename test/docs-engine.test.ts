import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import ts from "typescript";
import * as millrace from "../src/index.js";
import { expectedBehaviours } from "./end-to-end/expected-behaviours.js";
import { repositoryFolder } from "./helpers/source-tree.js";

const page = readFileSync(join(repositoryFolder, "docs", "engine.md"), "utf8");

/** Each section's rows, as cells. */
const sections = new Map<string, string[][]>();
for (const part of page.split(/^#{2,3} /m).slice(1)) {
  const rows = part
    .split("\n")
    .filter((line) => line.startsWith("|"))
    .slice(2)
    .map((line) => line.slice(1, -1).split("|"));
  sections.set(
    part.split(/\s/, 1)[0]!,
    rows.map((row) => row.map((cell) => cell.trim())),
  );
}
const ruleSections = Array.from({ length: 15 }, (_, index) => `3.${index + 1}`);

/** What the titles of a test file can be: literal ones, templates, and the texts that stand in these. */
interface Titles {
  readonly literal: ReadonlySet<string>;
  readonly templates: readonly Template[];
  readonly texts: ReadonlySet<string>;
  readonly anyTemplate: readonly RegExp[];
}

interface Template {
  readonly pattern: RegExp;
  /** For each hole, whether what fills it is a variable, whose text the file must hold. */
  readonly named: readonly boolean[];
}

const escaped = (text: string): string => text.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

function templateOf(node: ts.TemplateExpression): Template {
  const parts = node.templateSpans.map(({ expression, literal }) => holeOf(expression) + escaped(literal.text));
  return {
    pattern: new RegExp(`^${escaped(node.head.text)}${parts.join("")}$`, "s"),
    named: node.templateSpans.map(({ expression }) => ts.isIdentifier(expression)),
  };
}

/** Of a choice between two texts, those; of anything else, whatever it gives. */
function holeOf(expression: ts.Expression): string {
  if (ts.isConditionalExpression(expression)) {
    const { whenTrue, whenFalse } = expression;
    if (ts.isStringLiteralLike(whenTrue) && ts.isStringLiteralLike(whenFalse))
      return `(${escaped(whenTrue.text)}|${escaped(whenFalse.text)})`;
  }
  return "(.+?)";
}

function readTitles(file: string): Titles {
  const source = readFileSync(join(repositoryFolder, file), "utf8");
  const literal = new Set<string>();
  const templates: Template[] = [];
  const texts = new Set<string>();
  const anyTemplate: RegExp[] = [];
  let takesVariable = false;
  const visit = (node: ts.Node): void => {
    if (ts.isStringLiteralLike(node)) texts.add(node.text);
    if (ts.isTemplateExpression(node)) anyTemplate.push(templateOf(node).pattern);
    if (ts.isPropertyName(node) && ts.isIdentifier(node)) texts.add(node.text);
    if (ts.isCallExpression(node)) {
      const name = ts.isPropertyAccessExpression(node.expression) ? node.expression.name : node.expression;
      const [title] = node.arguments;
      if (title && ts.isIdentifier(name) && ["test", "say"].includes(name.text)) {
        if (ts.isStringLiteralLike(title)) literal.add(title.text);
        else if (ts.isTemplateExpression(title)) templates.push(templateOf(title));
        else if (ts.isIdentifier(title)) takesVariable = true;
      }
    }
    ts.forEachChild(node, visit);
  };
  visit(ts.createSourceFile(file, source, ts.ScriptTarget.ESNext, true));
  if (takesVariable) for (const text of texts) literal.add(text);
  return { literal, templates, texts, anyTemplate };
}

/** Could a test of this file carry the title? What fills a template's variable must stand in the file, as a text or as what a template of it makes. */
function holds({ literal, templates, texts, anyTemplate }: Titles, title: string): boolean {
  if (literal.has(title)) return true;
  return templates.some(({ pattern, named }) => {
    const match = pattern.exec(title);
    return (
      match !== null &&
      named.every((isNamed, hole) => {
        const filled = match[hole + 1]!;
        return (
          !isNamed || !/[a-z]{4}/i.test(filled) || texts.has(filled) || anyTemplate.some((each) => each.test(filled))
        );
      })
    );
  });
}

const behaviours = new Set(Object.values(expectedBehaviours).flatMap((flows) => Object.keys(flows)));
const known = new Map<string, Titles>();

/** Why the named test is none, or undefined. */
function whyMissing(named: string): string | undefined {
  const match = /^`(test\/[^`]+\.ts)`: "(.+)"$/.exec(named);
  if (!match) return `${named}: not a file and a title`;
  const [, file, title] = match as unknown as [string, string, string];
  if (!existsSync(join(repositoryFolder, file))) return `${file} is not there`;
  if (file.endsWith("/expected-behaviours.ts")) return behaviours.has(title) ? undefined : `no flow "${title}"`;
  if (!known.has(file)) known.set(file, readTitles(file));
  return holds(known.get(file)!, title) ? undefined : `${file} has no test "${title}"`;
}

t.test("every section of the rules is there, and every row is full", async (t) => {
  for (const name of ruleSections) {
    const rows = sections.get(name) ?? [];
    t.ok(rows.length >= 3, `${name} has ${rows.length} rows`);
    t.same(
      rows.filter((row) => row.length !== 3 || row.includes("")),
      [],
      `${name} is full`,
    );
  }
  const deviations = sections.get("Where") ?? [];
  t.ok(deviations.length > 30);
  t.same(
    deviations.filter((row) => row.length !== 3 || row.includes("")),
    [],
  );
});

t.test("every test that a row names is there", async (t) => {
  const cells = ruleSections.flatMap((name) => sections.get(name)!.map((row) => row[2]!));
  t.same(
    cells.flatMap((cell) => cell.split("<br>").map(whyMissing)).filter((why) => why !== undefined),
    [],
  );
});

t.test("a test that is not there is noticed", async (t) => {
  const missing = [
    '`test/engine/none.test.ts`: "a retry"',
    '`test/engine/loop.test.ts`: "a looping task stands on its head"',
    '`test/engine/mapping.test.ts`: "a map over nobody"',
    '`test/engine/task-runner.test.ts`: "a task that throws a tantrum ends Failed, and says so in the log"',
    '`test/end-to-end/expected-behaviours.ts`: "no such flow"',
    "by hand",
  ];
  for (const named of missing) t.type(whyMissing(named), "string", named);
});

t.test("a row that is open says why", async (t) => {
  const open = ruleSections.flatMap((name) => sections.get(name)!).filter((row) => /\bopen:|^open\b/i.test(row[1]!));
  for (const [rule, ours] of open) t.match(ours, /^\*\*Open:\*\* .{30,}/, rule!);
});

t.test("what the page names of the package is in it", async (t) => {
  const groups = "adjustments|cacheValidators|executors|filters|results|schedules|signals|triggers";
  const names = [...page.matchAll(new RegExp(`(?<![/\\w])(${groups})\\.(?!md|test)([a-zA-Z0-9]+)`, "g"))];
  t.ok(names.length > 30);
  for (const [whole, group, name] of names) {
    const found = (millrace as unknown as Record<string, Record<string, unknown>>)[group!]?.[name!];
    t.not(found, undefined, whole);
  }
});
