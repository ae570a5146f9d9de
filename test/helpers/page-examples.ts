import { readFile, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import ts from "typescript";
import { transform } from "./compile.js";
import { userProject } from "./fixture.js";
import { repositoryFolder } from "./source-tree.js";

/** The examples of a page in `docs/`, as one module of a user's: what a block declares, the next ones use. */
export interface PageExamples {
  /** What the compiler has against them, with all checks on. */
  problems(): string[];
  /** What the module exports. */
  load<Examples>(): Promise<Examples>;
}

export async function examplesOf(t: Parameters<typeof userProject>[0], page: string): Promise<PageExamples> {
  const text = await readFile(join(repositoryFolder, "docs", page), "utf8");
  const source = [...text.matchAll(/^```ts\n(.*?)^```/gms)].map((match) => match[1]!).join("\n");
  const folder = await userProject(t, { "examples.ts": source });
  await symlink(join(repositoryFolder, "node_modules", "zod"), join(folder, "node_modules", "zod"));
  // Ambient in a user's project: Node's types, for `console` and the like.
  await symlink(join(repositoryFolder, "node_modules", "@types"), join(folder, "node_modules", "@types"));
  return {
    problems() {
      const program = ts.createProgram([join(folder, "examples.ts")], {
        strict: true,
        noEmit: true,
        target: ts.ScriptTarget.ES2023,
        module: ts.ModuleKind.NodeNext,
        moduleResolution: ts.ModuleResolutionKind.NodeNext,
        skipLibCheck: true,
        types: ["node"],
      });
      return ts.getPreEmitDiagnostics(program).map((each) => ts.flattenDiagnosticMessageText(each.messageText, "\n"));
    },
    async load<Examples>() {
      const file = join(folder, "examples.mjs");
      await writeFile(file, (await transform(source, "examples.ts")).code);
      return (await import(file)) as Examples;
    },
  };
}
