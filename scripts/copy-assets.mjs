// What tsc leaves behind: files that the compiled code reads beside itself.
import { cpSync, rmSync } from "node:fs";

for (const folder of ["src/server/api/schema"]) {
  rmSync(`dist/${folder}`, { recursive: true, force: true });
  cpSync(folder, `dist/${folder}`, { recursive: true });
}
