import { execFileSync } from "node:child_process";
import { generateKeyPairSync } from "node:crypto";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import t from "tap";
import { checkSignature, readSigningKey, readTrustedKeys, signFlow } from "../../src/codec/signature.js";
import { loadSigningKey, loadTrustedKeys, makeKeyPair } from "../../src/storage/key-files.js";

const HASH = "9b2e".repeat(16);
const folder = t.testdir();
const pair = await makeKeyPair(join(folder, "flows.pem"));
const other = await makeKeyPair(join(folder, "other.pem"));
const key = await loadSigningKey(pair.privateFile);
const trusted = await loadTrustedKeys([pair.publicFile]);

t.test("what is signed is known by the public key, and by no other", async (t) => {
  const signature = signFlow("orders", HASH, key);
  t.equal(signature.keyId, pair.keyId);
  t.same(signFlow("orders", HASH, key), signature, "an unchanged flow is signed alike");
  checkSignature({ name: "orders", hash: HASH, signature }, trusted);
  checkSignature({ name: "orders", hash: HASH, signature }, await loadTrustedKeys([other.publicFile, pair.publicFile]));
  const strangers = await loadTrustedKeys([other.publicFile]);
  const check =
    (flow: Parameters<typeof checkSignature>[0], keys = trusted) =>
    () =>
      checkSignature(flow, keys);
  t.throws(check({ name: "orders", hash: HASH, signature }, strangers), { code: "FLOW_NOT_SIGNED" });
  t.throws(check({ name: "orders", hash: HASH, signature: undefined }), {
    code: "FLOW_NOT_SIGNED",
    message: `This agent runs only flows that are signed by the key ${pair.keyId.slice(0, 16)}; flow "orders" is not signed.`,
  });
  const changed = [
    { name: "order", hash: HASH, signature },
    { name: "orders", hash: `8${HASH.slice(1)}`, signature },
    // Name and hash cannot be moved into each other.
    { name: `${HASH}\norders`, hash: "", signature },
    { name: "orders", hash: HASH, signature: { ...signature, value: signFlow("orders", HASH, readKey()).value } },
    { name: "orders", hash: HASH, signature: { ...signature, value: "" } },
    { name: "orders", hash: HASH, signature: { ...signature, value: "no base64 %" } },
  ];
  for (const flow of changed) t.throws(check(flow), { code: "FLOW_SIGNATURE_INVALID" });
});

const readKey = () => readSigningKey(readFileSync(other.privateFile, "utf8"));

t.test("a pair is for its user alone, written over nothing, and what openssl makes is taken too", async (t) => {
  t.equal(statSync(pair.privateFile).mode & 0o777, 0o600);
  await t.rejects(makeKeyPair(pair.privateFile), { code: "SIGNING_KEY_INVALID", message: /flows\.pem\.pub/ });
  const made = join(folder, "openssl.pem");
  execFileSync("openssl", ["genpkey", "-algorithm", "ed25519", "-out", made]);
  execFileSync("openssl", ["pkey", "-in", made, "-pubout", "-out", `${made}.pub`]);
  const signature = signFlow("orders", HASH, await loadSigningKey(readFileSync(made, "utf8")));
  // Several keys in one file, as people keep them.
  const both = `${readFileSync(pair.publicFile, "utf8")}\n${readFileSync(`${made}.pub`, "utf8")}`;
  checkSignature({ name: "orders", hash: HASH, signature }, await loadTrustedKeys([both]));
});

t.test("what is no such key is refused, and nothing of it is repeated", async (t) => {
  const rsa = generateKeyPairSync("rsa", { modulusLength: 2048 });
  const rsaFile = join(folder, "rsa.pem");
  writeFileSync(rsaFile, rsa.privateKey.export({ type: "pkcs8", format: "pem" }));
  const cases: [string, () => Promise<unknown>, RegExp][] = [
    ["another kind", () => loadSigningKey(rsaFile), /rsa\.pem" holds a key of the kind rsa/],
    ["a public key", () => loadSigningKey(pair.publicFile), /holds no private key in PEM/],
    ["no file", () => loadSigningKey(join(folder, "none.pem")), /could not be read from ".*none\.pem": ENOENT/],
    ["a private key to trust", () => loadTrustedKeys([pair.privateFile]), /holds no public key in PEM/],
    ["nothing to trust", () => loadTrustedKeys([]), /no key to know them by/],
  ];
  for (const [what, load, message] of cases) {
    const error = await load().then(
      () => undefined,
      (thrown: Error) => thrown,
    );
    t.match(error, { code: "SIGNING_KEY_INVALID", message }, what);
    t.notMatch(`${error}`, /PRIVATE KEY|MC4CAQ/, "no part of a key");
  }
  t.throws(() => readTrustedKeys([{ pem: "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----", from: "it" }]), {
    code: "SIGNING_KEY_INVALID",
  });
});
