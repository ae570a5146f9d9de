import { createHash } from "node:crypto";
import { deserialize, serialize } from "node:v8";
import { MillraceError } from "../core/errors.js";
import type { FlowSpec } from "../core/flow-spec.js";
import { checkContent } from "./saved-flow-shape.js";

/*
 * The saved-flow file, all numbers big-endian:
 *
 *   0   8  magic; like PNG's it breaks when a transfer takes the file for text
 *   8   2  format version
 *   10  8  length of the payload
 *   18  32 SHA-256 of bytes 0–17 and the payload: the saved flow's hash
 *   50  …  the payload: {manifest, bundle} as node:v8 writes it
 *
 * Nothing is decoded before the hash was checked: about every fifth random change to v8's bytes decodes into something
 * else without an error. The hash guards against damage, not against malice: read only files that you would run.
 */
const MAGIC = Buffer.from([0x89, 0x4d, 0x52, 0x46, 0x0d, 0x0a, 0x1a, 0x0a]);
const FORMAT_VERSION = 1;
const HASHED_HEADER_BYTES = 18;
const HEADER_BYTES = 50;

/** The largest saved flow that is written or read: a hundred times a usual one (0.5 MB), still loaded in about a second. */
export const MAX_SAVED_FLOW_BYTES = 64 * 1024 * 1024;

/** What is known of a saved flow besides its code: plain data, the same for the same source. */
export interface FlowManifest {
  spec: FlowSpec;
  specHash: string;
  options: SavedFlowOptions;
  /** The version of Millrace that saved it. */
  millraceVersion: string;
  /** The author's file, relative to the project folder, with forward slashes. */
  entry: string;
  /** The folder of the nearest package.json, absolute, on the machine that saved the flow. */
  projectFolder: string;
  /** Packages that are not in the bundle, sorted by name. */
  external: ExternalPackage[];
}

/** Options of the flow that matter before its code is loaded. */
export interface SavedFlowOptions {
  external: string[];
  freshThread: boolean;
  maxHeapMb: number | null;
}

export interface ExternalPackage {
  name: string;
  version: string;
  /** The folder to resolve it from, relative to the project folder: "." unless only a dependency can see it. */
  from: string;
}

/** The author's module in one piece, and its source map, as UTF-8. */
export interface FlowBundle {
  code: Uint8Array;
  map: Uint8Array;
}

export interface SavedFlow {
  /** SHA-256, hex. */
  hash: string;
  manifest: FlowManifest;
  bundle: FlowBundle;
}

export interface SavedFlowHeader {
  formatVersion: number;
  payloadBytes: number;
  hash: string;
}

/**
 * The file's bytes; equal content gives equal bytes, so an unchanged flow keeps its hash.
 * @throws SAVED_FLOW_TOO_LARGE
 */
export function encodeSavedFlow(
  manifest: FlowManifest,
  bundle: FlowBundle,
  maxBytes = MAX_SAVED_FLOW_BYTES,
): { bytes: Uint8Array; hash: string } {
  // V8 has two ways to hold a string and writes down which: a trip through JSON leaves one.
  const plain: unknown = JSON.parse(JSON.stringify(manifest));
  const payload = serialize({
    manifest: plain,
    bundle: { code: new Uint8Array(bundle.code), map: new Uint8Array(bundle.map) },
  });
  checkSize(HEADER_BYTES + payload.length, maxBytes, `Flow "${manifest.spec.name}"`);
  const bytes = Buffer.alloc(HEADER_BYTES + payload.length);
  MAGIC.copy(bytes);
  bytes.writeUInt16BE(FORMAT_VERSION, 8);
  bytes.writeBigUInt64BE(BigInt(payload.length), 10);
  payload.copy(bytes, HEADER_BYTES);
  const digest = hashOf(bytes);
  digest.copy(bytes, HASHED_HEADER_BYTES);
  return { bytes, hash: digest.toString("hex") };
}

/**
 * The header, for listing. It is checked for its shape and against the number of bytes, the hash is not.
 * @throws SAVED_FLOW_CORRUPT, SAVED_FLOW_VERSION
 */
export function readSavedFlowHeader(bytes: Uint8Array, totalBytes = bytes.length): SavedFlowHeader {
  const buffer = asBuffer(bytes);
  if (buffer.length < HEADER_BYTES) throw corrupt(`it ends after ${buffer.length} bytes, inside the header`);
  if (!buffer.subarray(0, MAGIC.length).equals(MAGIC)) throw corrupt("it does not begin as a saved flow does");
  const formatVersion = buffer.readUInt16BE(8);
  if (formatVersion !== FORMAT_VERSION) {
    throw new MillraceError(
      "SAVED_FLOW_VERSION",
      `The saved flow has format version ${formatVersion}; this Millrace reads version ${FORMAT_VERSION}.`,
      {
        hint: "Use the version of Millrace that saved it, or save the flow again with this one.",
      },
    );
  }
  const payloadBytes = buffer.readBigUInt64BE(10);
  if (payloadBytes !== BigInt(totalBytes - HEADER_BYTES)) {
    throw corrupt(`its header promises ${payloadBytes} bytes of content, and it has ${totalBytes - HEADER_BYTES}`);
  }
  return {
    formatVersion,
    payloadBytes: Number(payloadBytes),
    hash: buffer.toString("hex", HASHED_HEADER_BYTES, HEADER_BYTES),
  };
}

/**
 * The header, after size, shape and hash were found right: the bytes are as they were written. Nothing is decoded.
 * @throws SAVED_FLOW_TOO_LARGE, SAVED_FLOW_CORRUPT, SAVED_FLOW_VERSION
 */
export function verifySavedFlow(bytes: Uint8Array, maxBytes = MAX_SAVED_FLOW_BYTES): SavedFlowHeader {
  checkSize(bytes.length, maxBytes, "The saved flow");
  const header = readSavedFlowHeader(bytes);
  const found = hashOf(asBuffer(bytes)).toString("hex");
  if (found !== header.hash) throw corrupt(`its SHA-256 is ${found}, and its header says ${header.hash}`);
  return header;
}

/**
 * The saved flow, after its size, header and hash were found right.
 * @throws SAVED_FLOW_TOO_LARGE, SAVED_FLOW_CORRUPT, SAVED_FLOW_VERSION
 */
export function decodeSavedFlow(bytes: Uint8Array, maxBytes = MAX_SAVED_FLOW_BYTES): SavedFlow {
  const header = verifySavedFlow(bytes, maxBytes);
  const { manifest, bundle } = checkContent(decodePayload(asBuffer(bytes).subarray(HEADER_BYTES)));
  return { hash: header.hash, manifest, bundle };
}

function decodePayload(payload: Buffer): unknown {
  try {
    return deserialize(payload);
  } catch (cause) {
    // The hash is right, so these are the bytes that were written: another V8 wrote them in a way this one cannot read.
    throw new MillraceError(
      "SAVED_FLOW_VERSION",
      `The saved flow is whole, but Node ${process.versions.node} cannot decode it.`,
      {
        hint: "Save the flow again with the version of Node that runs it.",
        cause,
      },
    );
  }
}

function checkSize(sizeBytes: number, maxBytes: number, what: string): void {
  if (sizeBytes <= maxBytes) return;
  const mib = (count: number) => `${(count / 1024 / 1024).toFixed(1)} MiB`;
  throw new MillraceError("SAVED_FLOW_TOO_LARGE", `${what} takes ${mib(sizeBytes)}; the limit is ${mib(maxBytes)}.`, {
    hint: "Read data from files at run time in place of importing it, or list large packages in the flow's `external` option.",
  });
}

function hashOf(buffer: Buffer): Buffer {
  return createHash("sha256")
    .update(buffer.subarray(0, HASHED_HEADER_BYTES))
    .update(buffer.subarray(HEADER_BYTES))
    .digest();
}

function corrupt(why: string): MillraceError {
  return new MillraceError("SAVED_FLOW_CORRUPT", `The bytes are not a whole saved flow: ${why}.`, {
    hint: "Copy the file again from where it was saved, or save the flow again.",
  });
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
