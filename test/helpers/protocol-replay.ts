import { isDeepStrictEqual } from "node:util";
import { gzipSync } from "node:zlib";
import { type RecordedRequest, readProtocolJson, shapeOf } from "./protocol-fixtures.js";
import type { Reply, TestCloud } from "./server.js";

/** What must be at a path of an answer of a shape: `!` a value, `+` a list with something in it, nothing: the key. */
export type Needs = Readonly<Record<string, readonly string[]>>;

/** Sends recorded requests in order, filled in with what earlier answers held, and says what is wrong with each answer. */
export class Replay {
  readonly #cloud: TestCloud;
  readonly #flows = readProtocolJson<Record<string, unknown>>("flows.json");
  readonly #needs = readProtocolJson<Needs>("needs.json");
  readonly saved = new Map<string, unknown>();

  constructor(cloud: TestCloud) {
    this.#cloud = cloud;
  }

  /** @returns what is wrong with the answer; nothing when it is as it should be */
  async send(request: RecordedRequest, query = request.query): Promise<string[]> {
    const headers = Object.entries(request.headers ?? {}).map(([name, value]) => [name, this.#fill(value)]);
    // As Python's requests writes it: the whole body in ASCII, the variables as text in it.
    const body = ascii(JSON.stringify({ query: this.#fill(query), variables: this.#fill(request.variables) }));
    const reply = await this.#cloud.post(body, {
      "x-prefect-core-version": "1.4.1",
      "user-agent": "python-requests/2.28.1",
      "accept-encoding": "gzip, deflate",
      ...Object.fromEntries(headers),
    });
    return request.error ? this.#checkError(reply, request.error) : this.#checkAnswer(reply, request);
  }

  #checkAnswer({ status, body }: Reply, request: RecordedRequest): string[] {
    if (status !== 200 || "errors" in body) return [`HTTP ${status}: ${JSON.stringify(body.errors)?.slice(0, 500)}`];
    const wrong: string[] = [];
    const needs = request.missing ? [] : (this.#needs[shapeOf(request.query)] ?? ["nothing is said of this shape"]);
    for (const need of needs) wrong.push(...unmet(body.data, need));
    for (const [path, expected] of Object.entries(request.check ?? {})) {
      const found = valueAt(body.data, path);
      const wanted = this.#fillValue(expected);
      if (!isDeepStrictEqual(found, wanted))
        wrong.push(`${path} is ${JSON.stringify(found)}, not ${JSON.stringify(wanted)}`);
    }
    for (const [name, path] of Object.entries(request.save ?? {})) {
      const found = valueAt(body.data, path);
      if (found === undefined || found === null) wrong.push(`${path} holds nothing to keep as "${name}"`);
      this.saved.set(name, found);
    }
    return wrong;
  }

  #checkError({ status, body }: Reply, wanted: NonNullable<RecordedRequest["error"]>): string[] {
    const [error] = body.errors ?? [];
    if (!error) return [`it was not refused: ${JSON.stringify(body.data)?.slice(0, 300)}`];
    const wrong: string[] = [];
    if (status !== (wanted.status ?? 200)) wrong.push(`HTTP ${status}`);
    if (wanted.code !== undefined && error.extensions.code !== wanted.code) wrong.push(`code ${error.extensions.code}`);
    const { message = "", exactly, path } = wanted;
    const isMessage = exactly ? error.message === message : error.message.includes(message);
    if (!isMessage) wrong.push(`its message is "${error.message}"`);
    if (path !== undefined && !isDeepStrictEqual(error.path, path))
      wrong.push(`its path is ${JSON.stringify(error.path)}`);
    return wrong;
  }

  #fillValue(value: unknown): unknown {
    return JSON.parse(this.#fill(JSON.stringify(value))) as unknown;
  }

  #fill(text: string): string {
    return text.replaceAll(/\{\{([^{}]+)\}\}/g, (_whole, name: string) => {
      const compressed = /^compressed (.+)$/.exec(name)?.[1];
      if (compressed !== undefined) {
        return gzipSync(ascii(JSON.stringify(this.#flows[compressed]))).toString("base64");
      }
      const [, naive, seconds] = /^(naive-)?now([+-]\d+)?$/.exec(name) ?? [];
      if (name.includes("now")) {
        const at = new Date(Date.now() + Number(seconds ?? 0) * 1000).toISOString().replace("Z", "123");
        return naive ? at : `${at}+00:00`;
      }
      if (!this.saved.has(name)) throw new Error(`Nothing was kept as "${name}".`);
      return `${this.saved.get(name)}`;
    });
  }
}

/** Python escapes what is not ASCII, beyond the first plane as two surrogates. */
function ascii(json: string): string {
  return json.replaceAll(/[\u0080-\uffff]/g, (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** Steps by `/`: a key, an index, `key.path=value` for the item of a list that has it, `*` for all of them, `length`. */
export function valueAt(data: unknown, path: string): unknown {
  let at: unknown = data;
  for (const step of path.split("/")) {
    const [, key, value] = /^([^=]+)=(.*)$/.exec(step) ?? [];
    if (at === null || at === undefined) return undefined;
    if (key !== undefined && Array.isArray(at))
      at = at.find((item) => `${valueAt(item, key.replaceAll(".", "/"))}` === value);
    else at = (at as Record<string, unknown>)[step];
  }
  return at;
}

/** What an answer lacks of a need. */
export function unmet(data: unknown, need: string): string[] {
  if (data === null || data === undefined) return ["an answer without data"];
  const [, path = "", mark] = /^(.*?)([!+]?)$/.exec(need)!;
  return everyAt(data, path.split("/"), "").flatMap(({ place, value }) => {
    if (value === undefined) return [`${place} is missing`];
    if (mark !== "" && value === null) return [`${place} is null`];
    return mark === "+" && (value as unknown[]).length === 0 ? [`${place} is empty`] : [];
  });
}

function everyAt(at: unknown, steps: readonly string[], place: string): { place: string; value: unknown }[] {
  const [step, ...rest] = steps;
  if (step === undefined) return [{ place, value: at }];
  // Of what is not there, only its own need is said.
  if (at === null || at === undefined) return [];
  if (step === "*") return (at as unknown[]).flatMap((item, index) => everyAt(item, rest, `${place}/${index}`));
  return everyAt((at as Record<string, unknown>)[step], rest, place === "" ? step : `${place}/${step}`);
}
