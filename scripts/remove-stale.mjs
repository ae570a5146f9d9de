// What an earlier compile left behind for a source file that is gone: it would be tested, and packed.
import { existsSync, readdirSync, rmSync } from "node:fs";

const outputs = /^dist\/(.+?)\.(?:js|js\.map|d\.ts)$/;

if (existsSync("dist")) {
  for (const entry of readdirSync("dist", { recursive: true, withFileTypes: true })) {
    const path = `${entry.parentPath}/${entry.name}`.replaceAll("\\", "/");
    const source = outputs.exec(path)?.[1];
    if (entry.isFile() && source !== undefined && !existsSync(`${source}.ts`)) rmSync(path);
  }
}
