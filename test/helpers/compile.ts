import ts from "typescript";

/** TypeScript to JavaScript with a source map, as a build step of the user's own does it. */
export async function transform(source: string, fileName: string): Promise<{ code: string; map: string }> {
  const { outputText, sourceMapText } = ts.transpileModule(source, {
    fileName,
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, sourceMap: true },
  });
  return { code: outputText.replace(/\/\/# sourceMappingURL=.*/, ""), map: sourceMapText ?? "{}" };
}
