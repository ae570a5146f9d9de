import { join } from "node:path";
import t from "tap";
import { loadVendor } from "../../src/storage/load-vendor.js";

const missing = (name: string) => () => import(/* what a user has not installed */ name);

t.test("a package that is not installed is named, with the folders that were looked in", async (t) => {
  const folder = t.testdir();
  await t.rejects(loadVendor("@acme/no-such-sdk", missing("@acme/no-such-sdk"), folder), {
    code: "STORAGE_PACKAGE_MISSING",
    message: new RegExp(`"@acme/no-such-sdk" is not installed.*src.storage" and from "${folder}"`),
    hint: /npm install @acme\/no-such-sdk/,
  });
});

t.test("a project's package is found where Millrace itself does not see it", async (t) => {
  const folder = t.testdir({
    node_modules: {
      "sdk-in-project": { "package.json": '{ "main": "index.cjs" }', "index.cjs": "exports.Client = class Client {};" },
    },
  });
  const sdk = (await loadVendor("sdk-in-project", missing("sdk-in-project"), folder)) as { Client: { name: string } };
  t.equal(sdk.Client.name, "Client");
});

t.test("a package that is there and cannot be loaded says why", async (t) => {
  const folder = t.testdir({
    node_modules: { broken: { "package.json": "{}", "index.js": 'require("not-there-either");' } },
  });
  await t.rejects(loadVendor("broken", missing("broken"), folder), {
    code: "STORAGE_PACKAGE_MISSING",
    message: /cannot be loaded: .*not-there-either/,
  });
  const file = join(t.testdir({ "x.mjs": "throw new Error('half installed');" }), "x.mjs");
  await t.rejects(
    loadVendor("x", () => import(file)),
    { code: "STORAGE_PACKAGE_MISSING", message: /half installed/ },
  );
});
