import { execFileSync } from "node:child_process";
import { mkdtempSync, rmdirSync, rmSync, statfsSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

interface Teardown {
  teardown(fn: () => void | Promise<void>): void;
}

/** A file system of a few megabytes. */
export interface SmallDisk {
  readonly folder: string;
  /** Leaves room for so many bytes. */
  fill(leave: number): void;
  makeRoom(): void;
}

/** Undefined where this user may not mount one. It is gone when the test ends. */
export function smallDisk(t: Teardown, megabytes: number): SmallDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), "millrace-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m`, "tmpfs", folder], { stdio: "ignore" });
  } catch {
    rmdirSync(folder);
    return undefined;
  }
  t.teardown(() => {
    // Lazily: a server that was killed a moment ago may still have its file open.
    execFileSync("umount", ["-l", folder]);
    rmdirSync(folder);
  });
  const filler = join(folder, "filler");
  return {
    folder,
    fill(leave) {
      const { bavail, bsize } = statfsSync(folder);
      try {
        writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - leave)));
      } catch (error) {
        // Others write meanwhile: then it is full already.
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      }
    },
    makeRoom: () => rmSync(filler),
  };
}
