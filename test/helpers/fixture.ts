import { execFile } from "node:child_process";
import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

/** The repository's folder, seen from the compiled tests. */
export const repository = fileURLToPath(new URL("../../../", import.meta.url));

/** The path of a file in `fixtures/`. */
export function fixture(name: string): string {
  return join(repository, "fixtures", name);
}

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/**
 * A project folder as a user has one, outside this repository, with `millrace` installed as a link. Paths are
 * relative to it, folders are made as needed. Returns the folder.
 */
export async function userProject(t: Teardown, files: Record<string, string>): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "millrace-project-")));
  t.teardown(() => rm(folder, { recursive: true, force: true }));
  await mkdir(join(folder, "node_modules"));
  await symlink(repository, join(folder, "node_modules", "millrace"));
  for (const [path, text] of Object.entries({
    "package.json": '{ "name": "a-project", "type": "module" }',
    ...files,
  })) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
  return folder;
}

/** Older versions of Node take TypeScript only when asked to; this one was perhaps asked by NODE_OPTIONS, which stay behind. */
const takesTypeScript = ["--experimental-strip-types"];

/** Runs a user's program in its folder and returns what it prints; rejects when it fails. */
export async function runProgram(folder: string, ...args: string[]): Promise<string> {
  const env = { ...process.env, NODE_OPTIONS: "" };
  const { stdout } = await promisify(execFile)(process.execPath, [...takesTypeScript, ...args], { cwd: folder, env });
  return stdout.trim();
}
