import t from "tap";
import {
  decodeSavedFlow,
  encodeSavedFlow,
  type FlowManifest,
  readSavedFlowHeader,
} from "../../src/codec/saved-flow.js";
import { isMillraceError } from "../../src/core/errors.js";
import { seeded } from "../helpers/build.js";
import { aBundle, aManifest } from "../helpers/saved-flow.js";

t.test("a saved flow comes back as it was", async (t) => {
  const manifest = aManifest();
  const { bytes, hash } = encodeSavedFlow(manifest, aBundle());
  const saved = decodeSavedFlow(bytes);
  t.same(saved.manifest, manifest);
  t.equal(Buffer.from(saved.bundle.code).toString(), 'import "millrace"; // ⚙');
  t.equal(saved.hash, hash);
  t.match(hash, /^[0-9a-f]{64}$/);
  t.same(readSavedFlowHeader(bytes), { formatVersion: 1, payloadBytes: bytes.length - 50, hash });
});

t.test("equal content gives equal bytes, however its strings came about", async (t) => {
  // A slice of text with wide letters is held in another way than the same letters alone.
  const wide = "⚙order⚙".slice(1, 6);
  const one = encodeSavedFlow(aManifest({ entry: "order" }), aBundle());
  const other = encodeSavedFlow(aManifest({ entry: wide }), aBundle());
  t.equal(one.hash, other.hash);
  t.not(one.hash, encodeSavedFlow(aManifest({ entry: "other" }), aBundle()).hash, "a change changes the hash");
});

t.test("a saved flow over the limit is neither written nor read", async (t) => {
  const { bytes } = encodeSavedFlow(aManifest(), aBundle());
  t.throws(() => encodeSavedFlow(aManifest(), aBundle(), 100), { code: "SAVED_FLOW_TOO_LARGE" });
  t.throws(() => decodeSavedFlow(bytes, 100), { code: "SAVED_FLOW_TOO_LARGE", hint: /external/ });
});

t.test("another format version is told apart from damage", async (t) => {
  const { bytes } = encodeSavedFlow(aManifest(), aBundle());
  const later = Buffer.from(bytes);
  later.writeUInt16BE(2, 8);
  t.throws(() => decodeSavedFlow(later), { code: "SAVED_FLOW_VERSION", message: /version 2/ });
});

t.test("damage is named", async (t) => {
  const { bytes } = encodeSavedFlow(aManifest(), aBundle());
  const refused = (damaged: Uint8Array, message: RegExp) =>
    t.throws(() => decodeSavedFlow(damaged), { code: "SAVED_FLOW_CORRUPT", message });
  refused(new Uint8Array(0), /ends after 0 bytes/);
  refused(bytes.subarray(0, 30), /ends after 30 bytes/);
  refused(Buffer.from("console.log('this is no saved flow, but a file of JavaScript')"), /does not begin/);
  refused(bytes.subarray(0, bytes.length - 1), /promises/);
  refused(Buffer.concat([bytes, Buffer.alloc(1)]), /promises/);
  const flipped = Buffer.from(bytes);
  flipped[bytes.length - 5]! ^= 1;
  refused(flipped, /SHA-256/);
});

t.test("a file with a right hash and the wrong content is refused with the field's name", async (t) => {
  const refused = (manifest: unknown, message: RegExp) => {
    const { bytes } = encodeSavedFlow(manifest as FlowManifest, aBundle());
    t.throws(() => decodeSavedFlow(bytes), { code: "SAVED_FLOW_CORRUPT", message });
  };
  refused({ ...aManifest(), projectFolder: 1 }, /manifest\.projectFolder` is not text/);
  refused({ ...aManifest(), spec: { ...aManifest().spec, tasks: [{}] } }, /spec\.tasks\[0\]\.id/);
  const leadingOut = { name: "../../evil", version: "1.0.0", from: "." };
  refused({ ...aManifest(), external: [leadingOut] }, /external\[0\]\.name` is not a package's name/);
});

/** Each way in which bytes go wrong on their way. */
const mutations: ((bytes: Buffer, random: (below: number) => number) => Buffer)[] = [
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    for (let flips = 1 + random(8); flips > 0; flips -= 1) copy[random(copy.length)]! ^= 1 << random(8);
    return copy;
  },
  (bytes, random) => bytes.subarray(0, random(bytes.length)),
  (bytes, random) => {
    const at = random(bytes.length + 1);
    const inserted = Buffer.from(Array.from({ length: 1 + random(40) }, () => random(256)));
    return Buffer.concat([bytes.subarray(0, at), inserted, bytes.subarray(at)]);
  },
  (bytes, random) => {
    const [from, to] = [random(bytes.length), random(bytes.length)].sort((a, b) => a - b) as [number, number];
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    const from = random(copy.length);
    copy.copyWithin(random(copy.length), from, Math.min(copy.length, from + 1 + random(64)));
    return copy;
  },
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    for (let edits = 1 + random(4); edits > 0; edits -= 1) copy[random(50)] = random(256);
    return copy;
  },
  (bytes, random) => {
    const [from, to] = [random(bytes.length), random(bytes.length)].sort((a, b) => a - b) as [number, number];
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
];

t.test(
  "200,000 random changes to a saved flow: each is refused with a clear error",
  { timeout: 110_000 },
  async (t) => {
    const bytes = Buffer.from(encodeSavedFlow(aManifest(), aBundle()).bytes);
    const stream = seeded(20261123);
    const random = (below: number) => Math.floor(stream() * below);
    const codes = new Map<string, number>();
    let unchanged = 0;
    for (let round = 0; round < 200_000; round += 1) {
      const changed = mutations[round % mutations.length]!(bytes, random);
      const code = outcomeOf(changed);
      if (code === "decoded" && changed.equals(bytes)) unchanged += 1;
      else codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    t.same([...codes.keys()].sort(), ["SAVED_FLOW_CORRUPT", "SAVED_FLOW_VERSION"], "no other outcome");
    t.ok(unchanged < 5_000, "nearly every change was one");
  },
);

t.test("content that was changed together with its hash ends in an error of ours or in a whole manifest", async (t) => {
  const { bytes } = encodeSavedFlow(aManifest(), aBundle());
  const payload = bytes.subarray(50);
  const stream = seeded(7);
  const { reseal } = await import("../helpers/saved-flow.js");
  for (let round = 0; round < 5_000; round += 1) {
    const changed = Buffer.from(payload);
    changed[Math.floor(stream() * changed.length)]! ^= 1 << Math.floor(stream() * 8);
    const code = outcomeOf(reseal(changed));
    if (code.startsWith("SAVED_FLOW_") || code === "decoded") continue;
    t.fail(`an outcome that is no error of ours: ${code}`);
  }
});

function outcomeOf(bytes: Uint8Array): string {
  try {
    decodeSavedFlow(bytes);
    return "decoded";
  } catch (error) {
    return isMillraceError(error) ? error.code : String(error);
  }
}
