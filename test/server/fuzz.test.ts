import { Agent, request } from "node:http";
import { isInputObjectType, isNonNullType } from "graphql";
import t from "tap";
import { makeSchema } from "../../src/server/api/schema.js";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { type FuzzRequest, FuzzRequests, type FuzzWorld } from "../helpers/fuzz-requests.js";
import { PROPERTY_TIMEOUT_MS } from "../helpers/property-runs.js";
import { rootDocuments } from "../helpers/root-documents.js";
import { mutation, serializedFlow } from "../helpers/server.js";

/** So many here; 100,000 are run by hand: MILLRACE_FUZZ_RUNS=100000. */
const RUNS = Number(process.env.MILLRACE_FUZZ_RUNS) || 1_500;
/** The same requests each time; another seed makes others: MILLRACE_FUZZ_SEED=2. */
const SEED = Number(process.env.MILLRACE_FUZZ_SEED) || 1;
const AT_ONCE = 8;
/** A read may take 10 s before its next statement is refused, and clients wait 15 s. */
const MAX_MS = 15_000;
/** What the heap may have grown to beyond its size after the first fifth: caches are full by then. */
const MAX_GROWTH_BYTES = 150 * 1024 * 1024;
const STATUSES = new Set([200, 400, 405, 413, 415, 503]);

interface Answer {
  status: number;
  text: string;
  ms: number;
}

t.setTimeout(RUNS > 10_000 ? 3_600_000 : PROPERTY_TIMEOUT_MS);

t.test(`${RUNS} requests of every bad kind harm nothing (seed ${SEED})`, async (t) => {
  const cloud = await startCloudProcess(t, t.testdir(), ["--no-login"]);
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  t.teardown(() => agent.destroy());
  const send = ({ method, path, contentType, body }: Omit<FuzzRequest, "kind">): Promise<Answer> =>
    new Promise((resolve, reject) => {
      const accept = path.endsWith("stream") ? "text/event-stream" : "application/json";
      const headers = { authorization: `Bearer ${cloud.token}`, "content-type": contentType, accept };
      const begunAt = performance.now();
      const asked = request(cloud.url + path, { method, agent, headers }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", reject);
        response.once("end", () => {
          const text = Buffer.concat(chunks).toString("utf8");
          resolve({ status: response.statusCode ?? 0, text, ms: performance.now() - begunAt });
        });
      });
      asked.once("error", reject);
      asked.end(method === "GET" ? undefined : body);
    });
  const ask = async (query: string, variables?: unknown) => {
    const body = Buffer.from(JSON.stringify({ query, variables }));
    const { text } = await send({ method: "POST", path: "/", contentType: "application/json", body });
    return JSON.parse(text) as { data: Record<string, { id: string }>; errors?: unknown };
  };
  const heap = async () => {
    const { text } = await send({ method: "GET", path: "/metrics", contentType: "", body: Buffer.of() });
    return Number(/^millrace_memory_bytes\{kind="heap"\} (\d+)/m.exec(text)?.[1]);
  };

  const requests = new FuzzRequests(SEED, await makeWorld(ask));
  const wrong: string[] = [];
  const times: number[] = [];
  const counts: Record<string, number> = {};
  const heaps: number[] = [];
  const slowest: Record<string, number> = {};
  let next = 0;
  const worker = async () => {
    for (;;) {
      const index = next++;
      if (index >= RUNS) return;
      if (index % Math.ceil(RUNS / 10) === 0) heaps.push(await heap());
      const made = requests.next(index);
      const answer = await send(made);
      times.push(answer.ms);
      if (answer.ms > (slowest[made.kind] ?? 0)) slowest[made.kind] = Math.round(answer.ms);
      counts[answer.status] = (counts[answer.status] ?? 0) + 1;
      const fault = faultOf(answer);
      if (fault) wrong.push(`${fault} · ${index}, ${made.kind}: ${made.body.toString("utf8", 0, 1_000)}`);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));

  t.strictSame(wrong.slice(0, 10), [], "each answer is one of those that a client knows, and is no failure of ours");
  t.equal(cloud.running.child.exitCode, null, "the server lives");
  t.match(await ask("{ hello }"), { data: { hello: "hello" } }, "and answers");
  const written = await ask('mutation { create_project(input: {name: "afterwards"}) { id } }');
  t.ok(written.data.create_project?.id, "and writes");
  times.sort((a, b) => a - b);
  const [median, longest] = [times[Math.floor(times.length / 2)]!, times.at(-1)!];
  t.ok(longest < MAX_MS, `the longest took ${Math.round(longest)} ms`);
  // What lies around uncollected is not grown: the least that was seen in the second half counts.
  const grown = Math.min(...heaps.slice(5)) - Math.max(...heaps.slice(0, 3));
  t.ok(grown < MAX_GROWTH_BYTES, `the heap grew by ${Math.round(grown / 1024 / 1024)} MiB`);
  t.comment(JSON.stringify({ counts, median, slowest, heapsMiB: heaps.map((bytes) => Math.round(bytes / 2 ** 20)) }));
});

/** Undefined: as it should be. */
function faultOf({ status, text }: Answer): string | undefined {
  if (!STATUSES.has(status)) return `status ${status}`;
  if (text.startsWith("event:") || text.startsWith(":")) return undefined;
  let parsed: { errors?: { message?: unknown; extensions?: { code?: unknown; id?: unknown } }[] };
  try {
    parsed = JSON.parse(text);
  } catch {
    return `no JSON: ${text.slice(0, 100)}`;
  }
  for (const { message, extensions } of parsed.errors ?? []) {
    if (typeof message !== "string" || typeof extensions?.code !== "string") return "an error without message or code";
    // Nothing that a caller sends may be met by accident.
    if (extensions.code === "INTERNAL" || status >= 500)
      return `${extensions.code} ${extensions.id ?? "WITHOUT AN ID"}`;
  }
  return undefined;
}

/** Valid documents of all roots, the inputs that there are, and some rows. */
async function makeWorld(
  ask: (query: string, variables?: unknown) => Promise<{ data: Record<string, { id: string }> }>,
): Promise<FuzzWorld> {
  const project = (await ask(mutation("create_project"), { input: { name: "Sales" } })).data.create_project!.id;
  const input = { project_id: project, serialized_flow: serializedFlow() };
  const flow = (await ask(mutation("create_flow"), { input })).data.create_flow!.id;
  const run = (await ask(mutation("create_flow_run"), { input: { flow_id: flow } })).data.create_flow_run!.id;
  const agent = { input: { type: "LocalAgent", name: "a", labels: ["host"] } };
  const agentId = (await ask(mutation("register_agent"), agent)).data.register_agent!.id;
  const schema = makeSchema({ read: undefined as never, snapshot: undefined as never, kind: "sqlite" });
  const inputs = Object.values(schema.getMutationType()!.getFields()).flatMap(({ name, args }) => {
    const type = args.find((each) => each.name === "input")?.type;
    const inner = type && isNonNullType(type) ? type.ofType : type;
    return isInputObjectType(inner) ? [{ root: name, type: inner.name, fields: Object.keys(inner.getFields()) }] : [];
  });
  // What listens has no end of its own.
  const documents = rootDocuments(schema).filter(({ kind }) => kind !== "subscription");
  return { documents, inputs, ids: [project, flow, run, agentId, "018f0000-0000-7000-8000-0000000000ff"] };
}
