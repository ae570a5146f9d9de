import { randomUUID } from "node:crypto";
import { mkdir, open, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";

/**
 * Writes a file so that no reader ever sees a part of it: under a temporary name in the same folder, then renamed. The
 * folder is made where it is missing, for its owner alone.
 * @param durable Wait until the disk has it, so that it is there after a power cut too.
 */
export async function writeWhole(file: string, bytes: Uint8Array, durable: boolean): Promise<void> {
  const folder = dirname(file);
  const temporary = join(folder, `.${randomUUID()}.tmp`);
  try {
    const handle = await openNew(temporary);
    try {
      await handle.writeFile(bytes);
      if (durable) await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, file);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  if (durable) await syncFolder(folder);
}

/** Making the folder only when it is missing saves a system call a file. */
async function openNew(file: string) {
  try {
    return await open(file, "wx");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    return open(file, "wx");
  }
}

/** A rename is durable when its folder is. Windows cannot open folders, and needs no such thing. */
async function syncFolder(folder: string): Promise<void> {
  if (process.platform === "win32") return;
  const handle = await open(folder, "r");
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
