import { readFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { withRoles } from "../scripts/generate-roles.js";
import { startTestCloud } from "./helpers/server.js";
import { repositoryFolder } from "./helpers/source-tree.js";

const page = (name: string) => readFileSync(join(repositoryFolder, "docs", name), "utf8");

t.test(
  "docs/security.md has the roles as the code has them; node dist/scripts/generate-roles.js writes them",
  async (t) => {
    t.equal(page("security.md"), withRoles(page("security.md")));
  },
);

t.test("docs/operations.md names every metric that there is, and no other", async (t) => {
  const cloud = await startTestCloud(t, { metricsPublic: true });
  const text = await (await fetch(`${cloud.url}/metrics`)).text();
  const made = [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name);
  const rows = page("operations.md").matchAll(/^\| (`millrace_.*?) \|/gm);
  const named = [...rows].flatMap(([, cell = ""]) => [...cell.matchAll(/millrace_\w+/g)].map(([name]) => name));
  t.strictSame(named.sort(), made.sort());
});
