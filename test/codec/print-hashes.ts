import { hashValue } from "../../src/codec/value-hash.js";
import { examples } from "./hash-examples.js";

// A program for value-hash.test.ts: the hashes that this process gives.
const hashes = Object.fromEntries(examples.map(([name, value]) => [name, hashValue(value)]));
process.stdout.write(JSON.stringify({ node: process.versions.node, hashes }));
