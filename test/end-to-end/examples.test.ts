import { execFile } from "node:child_process";
import { promisify } from "node:util";
import t from "tap";
import { temporaryHome } from "../helpers/home.js";

const home = await temporaryHome(t);
const repository = new URL("../../../", import.meta.url).pathname;

t.test("the tests that an author of an example would write pass, with the test kit as it is packed", async (t) => {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await promisify(execFile)(
    process.execPath,
    ["--test", "--test-reporter=tap", "examples/weather/weather.test.ts"],
    { cwd: repository, env: { ...env, MILLRACE_HOME: home } },
  );
  t.match(stdout, /# pass 2\n# fail 0/);
});
