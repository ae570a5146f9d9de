import { dirname, isAbsolute, sep } from "node:path";
import { fileURLToPath } from "node:url";

/** Where the package's own code lies: frames inside it are never the author's. */
const ownFolder = dirname(dirname(fileURLToPath(import.meta.url))) + sep;
const PACKAGES = `${sep}node_modules${sep}`;

/** Deep enough for a call through a framework or two; V8's default of 10 is not. */
const STACK_DEPTH = 50;

/**
 * The file that called into Millrace, as an absolute path: the module whose top level is on the stack, or else the
 * nearest file outside the package. (A factory in one file, called by a flow file, so leads to the flow file, which is
 * the one that defines the flow when it is loaded.) Undefined when no file called: `node -e`, the REPL.
 */
export function callerFile(): string | undefined {
  const frames = stack().flatMap((site) => {
    const file = toPath(site.getFileName());
    return file === undefined || file.startsWith(ownFolder) ? [] : [{ file, name: site.getFunctionName() }];
  });
  const authors = frames.filter(({ file }) => !file.includes(PACKAGES));
  const nearest = authors[0] ?? frames[0];
  // The top level of a module has no function name, be it ESM or CJS. An anonymous function has none either: then it is
  // that function's file, which is the nearest one anyhow or one that called it.
  return (authors.find(({ name }) => name === null) ?? nearest)?.file;
}

/** The call sites as V8 has them: source maps and other people's formatters do not touch them. */
function stack(): NodeJS.CallSite[] {
  const { prepareStackTrace, stackTraceLimit } = Error;
  try {
    Error.stackTraceLimit = STACK_DEPTH;
    Error.prepareStackTrace = (_error, sites) => sites;
    const sites: unknown = new Error().stack;
    return Array.isArray(sites) ? (sites as NodeJS.CallSite[]) : [];
  } finally {
    Error.prepareStackTrace = prepareStackTrace;
    Error.stackTraceLimit = stackTraceLimit;
  }
}

/** Code given on the command line or by a pipe goes by a name such as `/folder/[eval1]`. */
const NO_FILE = /[\\/]\[(eval|stdin)\d*\]/;

function toPath(fileName: string | null | undefined): string | undefined {
  if (!fileName || NO_FILE.test(fileName)) return undefined;
  if (!fileName.startsWith("file:")) return isAbsolute(fileName) ? fileName : undefined;
  // Loaders such as tsx mark what they load with a query.
  const url = new URL(fileName);
  url.search = "";
  url.hash = "";
  return fileURLToPath(url);
}
