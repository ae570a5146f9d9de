import { MillraceError } from "../core/errors.js";
import type { FlowBundle, FlowManifest } from "./saved-flow.js";

/*
 * A hash that is right says that the bytes are those that were written, not who wrote them. What the code behind relies
 * on is looked at here once, so that a foreign file ends in one clear error and not in a TypeError somewhere else.
 */

type Check = (value: unknown, path: string) => void;

const string: Check = (value, path) => demand(typeof value === "string", path, "text");
const number: Check = (value, path) => demand(typeof value === "number" && Number.isFinite(value), path, "a number");
const boolean: Check = (value, path) => demand(typeof value === "boolean", path, "true or false");
const bytes: Check = (value, path) => demand(value instanceof Uint8Array, path, "bytes");
const anything: Check = () => {};
const orNull =
  (check: Check): Check =>
  (value, path) => {
    if (value !== null) check(value, path);
  };
const listOf =
  (check: Check): Check =>
  (value, path) => {
    demand(Array.isArray(value), path, "a list");
    (value as unknown[]).forEach((item, index) => {
      check(item, `${path}[${index}]`);
    });
  };
const record =
  (fields: Record<string, Check>): Check =>
  (value, path) => {
    demand(typeof value === "object" && value !== null && !Array.isArray(value), path, "an object");
    for (const [name, check] of Object.entries(fields))
      check((value as Record<string, unknown>)[name], `${path}.${name}`);
  };

const taskSpec = record({
  id: string,
  slug: string,
  name: string,
  kind: (value, path) =>
    demand(value === "task" || value === "parameter" || value === "secret", path, "`task`, `parameter` or `secret`"),
  tags: listOf(string),
  retries: number,
  retryDelayMs: number,
  timeoutMs: orNull(number),
  trigger: string,
  skipOnUpstreamSkip: boolean,
  mapped: boolean,
  cacheForMs: orNull(number),
  cacheKey: orNull(string),
  cacheValidator: string,
  target: orNull(string),
  checkpoint: boolean,
  result: orNull(string),
  bodyHash: string,
  constantsHash: string,
});

const flowSpec = record({
  name: string,
  description: orNull(string),
  tasks: listOf(taskSpec),
  edges: listOf(
    record({ upstream: string, downstream: string, key: orNull(string), mapped: boolean, flattened: boolean }),
  ),
  parameters: listOf(
    record({
      name: string,
      required: boolean,
      default: anything,
      description: orNull(string),
      jsonSchema: orNull(record({})),
    }),
  ),
  secrets: listOf(string),
  referenceTasks: listOf(string),
  schedule: orNull(record({ clocks: listOf(record({ kind: string })) })),
});

const manifest = record({
  spec: flowSpec,
  specHash: string,
  options: record({ external: listOf(string), freshThread: boolean, maxHeapMb: orNull(number) }),
  millraceVersion: string,
  entry: string,
  projectFolder: string,
  external: listOf(record({ name: packageName, version: string, from: string })),
});

const content = record({ manifest, bundle: record({ code: bytes, map: bytes }) });

/** @throws SAVED_FLOW_CORRUPT naming the first field that is not what it should be */
export function checkContent(value: unknown): { manifest: FlowManifest; bundle: FlowBundle } {
  content(value, "content");
  return value as { manifest: FlowManifest; bundle: FlowBundle };
}

/** A folder of that name is made when the flow is unpacked: it must not lead elsewhere. */
function packageName(value: unknown, path: string): void {
  demand(typeof value === "string" && /^(@[^/\\@]+\/)?[^/\\@.][^/\\]*$/.test(value), path, "a package's name");
}

function demand(holds: boolean, path: string, wanted: string): void {
  if (holds) return;
  throw new MillraceError(
    "SAVED_FLOW_CORRUPT",
    `The saved flow was not written by Millrace: its \`${path}\` is not ${wanted}.`,
    {
      hint: "Save the flow again.",
    },
  );
}
