import { join } from "node:path";
import t from "tap";
import { findLocalSecret, secretsFile } from "../../src/client/secrets.js";

const at = (files: Record<string, string | object> = {}) => {
  const home = t.testdir(files as Parameters<typeof t.testdir>[0]);
  return { MILLRACE_HOME: home };
};
const variable = "MILLRACE__CONTEXT__SECRETS__Api_Token";

t.test("what is given comes before the environment, and that before the file", async (t) => {
  const env = { ...at({ "secrets.json": '{"Api_Token":"of file","OTHER":{"a":[1]}}' }), [variable]: "of environment" };
  t.equal(findLocalSecret("Api_Token", { Api_Token: "given" }, env), "given");
  t.equal(findLocalSecret("Api_Token", { Api_Token: undefined }, env), "of environment");
  t.equal(findLocalSecret("Api_Token", {}, { MILLRACE_HOME: env.MILLRACE_HOME }), "of file");
  t.same(findLocalSecret("OTHER", {}, env), { a: [1] });
  t.throws(() => findLocalSecret("API_TOKEN", {}, env), { code: "SECRET_NOT_FOUND" }, "names keep their case");
});

t.test("text in the environment is JSON where it is JSON", async (t) => {
  const home = at();
  const read = (text: string) => findLocalSecret("Api_Token", {}, { ...home, [variable]: text });
  t.same(read('{"user":"u","password":"p"}'), { user: "u", password: "p" });
  t.equal(read("12345"), 12345);
  t.equal(read('"12345"'), "12345");
  t.equal(read("null"), null);
  t.equal(read("sk-12"), "sk-12");
  t.equal(read(""), "");
});

t.test("a secret that is nowhere names the places where it could be", async (t) => {
  const env = at();
  t.throws(() => findLocalSecret("A", {}, env), {
    code: "SECRET_NOT_FOUND",
    message: 'There is no secret "A".',
    hint: `Set the environment variable MILLRACE__CONTEXT__SECRETS__A, or put "A" into "${join(env.MILLRACE_HOME, "secrets.json")}"; \`flow.run()\` also takes it as its option \`secrets\`.`,
  });
  for (const name of ["toString", "__proto__"])
    t.throws(() => findLocalSecret(name, {}, env), { code: "SECRET_NOT_FOUND" });
});

t.test("a file that cannot be used is told without a word of what is in it", async (t) => {
  for (const [text, why] of [
    ['{"A": s3cret', "it is not JSON"],
    ['["s3cret"]', "it does not hold a JSON object"],
  ] as const) {
    const env = at({ "secrets.json": text });
    const error = t.throws(() => findLocalSecret("A", {}, env), {
      code: "SECRETS_FILE_INVALID",
      message: `The file "${secretsFile(env)}" cannot be used: ${why}.`,
    });
    t.notMatch(JSON.stringify([error, (error as Error).stack, (error as Error).cause]), /s3cret/);
  }
  const env = at({ "secrets.json": {} });
  t.throws(() => findLocalSecret("A", {}, env), { code: "SECRETS_FILE_INVALID", message: /it cannot be read/ });
});
