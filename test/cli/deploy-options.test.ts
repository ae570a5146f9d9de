import t from "tap";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { millrace } from "../helpers/command-line.js";

const home = t.testdir({
  "greets.ts": `import { flow, task } from "millrace";
const greet = task("greet", () => "hello");
export const greets = flow("greets", () => greet());`,
});
await startCloudProcess(t, home);

t.test("the commands make keys, deploy signed, and take signed flows only", async (t) => {
  const say = (...words: string[]) => millrace(words, { home });
  const made = await say("create", "signing-key", "flows.pem");
  t.match(made.stdout, /Signing key [0-9a-f]{16} made\n {2}private .*flows\.pem .*\n {2}public .*flows\.pem\.pub /);
  t.match(await say("create", "signing-key", "flows.pem"), { code: 1, stderr: /SIGNING_KEY_INVALID/ });

  const agent = () => say("agent", "start", "local", "--once", "-l", "greets", "--require-signed-by", "flows.pem.pub");
  const state = async () => JSON.parse((await say("get", "flow-runs", "--json")).stdout)[0].state;
  await say("deploy", "greets.ts", "--project", "Tests", "--create-project");
  await say("run", "--name", "greets", "--project", "Tests");
  t.match((await agent()).stdout, /FLOW_NOT_SIGNED/);
  t.equal(await state(), "Failed");
  const deployed = await say("deploy", "greets.ts", "--project", "Tests", "--sign", "flows.pem");
  t.match(deployed.stdout, /version {2}2/, deployed.stderr);
  await say("run", "--name", "greets", "--project", "Tests");
  await agent();
  t.equal(await state(), "Success");
  t.match(await say("deploy", "greets.ts", "--project", "Tests", "--sign", "flows.pem.pub"), {
    code: 1,
    stderr: /SIGNING_KEY_INVALID: The file ".*flows\.pem\.pub" holds no private key in PEM/,
  });
});

t.test(
  "--storage says where the saved flow is kept, and a wrong address is refused before anything is saved",
  async (t) => {
    const words = ["deploy", "greets.ts", "--project", "Tests", "--create-project", "--json", "--storage"];
    const { stdout } = await millrace([...words, `local:${home}/kept`], { home });
    t.match(JSON.parse(stdout), [{ savedFlow: { type: "Local", location: new RegExp(`^${home}/kept/`) } }]);
    const refused = await millrace([...words, "ftp://kept"], { home });
    t.equal(refused.code, 1);
    t.match(JSON.parse(refused.stdout), {
      error: { code: "TASK_OPTIONS_INVALID", message: '"ftp://kept" is not the address of a storage.' },
    });
  },
);
