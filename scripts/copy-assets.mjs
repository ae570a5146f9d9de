// What tsc leaves behind: files that the compiled code reads beside itself.
import { cpSync, mkdirSync } from "node:fs";

for (const file of ["src/server/schema.graphql"]) {
  mkdirSync(`dist/${file.slice(0, file.lastIndexOf("/"))}`, { recursive: true });
  cpSync(file, `dist/${file}`);
}
