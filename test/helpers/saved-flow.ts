import { createHash } from "node:crypto";
import type { FlowBundle, FlowManifest } from "../../src/codec/saved-flow.js";
import { hashFlowSpec, toFlowSpec } from "../../src/core/flow-spec.js";
import { parameter } from "../../src/core/parameter.js";
import { task } from "../../src/core/task.js";
import { build } from "./build.js";

const add = task("add", (a: number, b: number) => a + b);

/** The manifest of a small flow. */
export function aManifest(changes: Partial<FlowManifest> = {}): FlowManifest {
  const spec = toFlowSpec(build("sum", () => add(add(1, parameter<number>("a", { default: 2 })), 3)));
  return {
    spec,
    specHash: hashFlowSpec(spec),
    options: { external: [], freshThread: false, maxHeapMb: null },
    millraceVersion: "0.1.0",
    entry: "flows/sum.ts",
    projectFolder: "/home/ada/project",
    external: [{ name: "better-sqlite3", version: "12.0.0", from: "." }],
    ...changes,
  };
}

export function aBundle(code = 'import "millrace"; // ⚙'): FlowBundle {
  return { code: Buffer.from(code), map: Buffer.from("{}") };
}

/** A saved-flow file around any payload, with the hash that belongs to it: what an attacker, or a fault in the writer, could make. */
export function reseal(payload: Uint8Array): Buffer {
  const header = Buffer.from("894d52460d0a1a0a00010000000000000000", "hex");
  header.writeBigUInt64BE(BigInt(payload.length), 10);
  const hash = createHash("sha256").update(header).update(payload).digest();
  return Buffer.concat([header, hash, payload]);
}
