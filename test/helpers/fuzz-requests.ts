import type { RootDocument } from "./root-documents.js";

/** Numbers from 0 to below 1, the same ones for the same seed (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** What is sent: a body as it goes over the wire, and how. */
export interface FuzzRequest {
  kind: string;
  method: "POST" | "GET";
  path: string;
  contentType: string;
  body: Buffer;
}

/** What requests are made of: valid documents, the inputs' types with their fields, and ids of rows that are there. */
export interface FuzzWorld {
  documents: readonly RootDocument[];
  inputs: readonly { root: string; type: string; fields: readonly string[] }[];
  ids: readonly string[];
}

const STRINGS = [
  "",
  "none",
  "\u0000",
  "\ud83d\ude00",
  "\ud83d",
  "\\ud83d\\ude00",
  "' OR 1=1 --",
  "%_%",
  "__proto__",
  "constructor",
  "2026-11-23T10:00:00",
  "9999999-99-99",
  "{}",
  "null",
  "a".repeat(5_000),
];
const NUMBERS = ["0", "-0", "-1", "1e308", "1e999", "-1e999", "9007199254740993", "2147483648", "0.1", "9".repeat(400)];
/** Bytes that are not UTF-8: a lone continuation, an overlong slash, a surrogate, a cut character. */
const BROKEN = [[0x80], [0xc0, 0xaf], [0xed, 0xa0, 0x80], [0xf0, 0x9f, 0x98], [0xff, 0xfe], [0x00]];
const NEST = ["{", "[", "(", "}", "]", ")", '"', "\\", "$", "@", "...", "#", "!", ":", "\n", '"""'];

/** Makes one request after the other, of every kind in turn. */
export class FuzzRequests {
  readonly #random: () => number;
  readonly #world: FuzzWorld;

  constructor(seed: number, world: FuzzWorld) {
    this.#random = seededRandom(seed);
    this.#world = world;
  }

  next(index: number): FuzzRequest {
    const kinds = Object.entries(this.#kinds);
    const [kind, make] = kinds[index % kinds.length]!;
    const made = make();
    const body = typeof made === "string" ? Buffer.from(made) : made;
    const request: FuzzRequest = { kind, method: "POST", path: "/graphql", contentType: "application/json", body };
    const way = this.#below(40);
    if (way === 0) return { ...request, contentType: this.#of(["text/plain", "", "application/json; charset=x"]) };
    if (way === 1) return { ...request, path: "/graphql/stream" };
    if (way > 2 || body.length > 4_000) return request;
    return { ...request, method: "GET", path: `/graphql?query=${encodeURIComponent(body.toString("latin1"))}` };
  }

  readonly #kinds: Record<string, () => string | Buffer> = {
    "valid, with bytes changed": () => this.#damage(Buffer.from(this.#valid())),
    "valid, cut": () => Buffer.from(this.#valid()).subarray(0, this.#below(200)),
    "valid, with real ids": () => this.#valid().replaceAll(/018f0000-[\da-f-]{27}/g, () => this.#of(this.#world.ids)),
    "a document with words changed": () => this.#body(this.#shuffle(this.#of(this.#world.documents).text)),
    "an input of wrong types": () => this.#input(() => this.#json(3)),
    "an input of deep values": () => this.#input(() => `${"[".repeat(3_000)}${"]".repeat(3_000)}`),
    "an input with fields of the type": () => this.#input((fields) => this.#objectOf(fields)),
    "keys twice": () => `{"query":"{ hello }","query":${this.#json(1)},"variables":{"a":1,"a":${this.#json(1)}}}`,
    deep: () => this.#body(this.#nested(this.#of([5, 8, 200, 6_000]))),
    wide: () => this.#body(`{ ${this.#times(this.#of([10, 500, 5_000]), (n) => `a${n}: hello`)} }`),
    "aliases of lists": () => this.#body(`{ ${this.#times(this.#below(150), (n) => `a${n}: flow_run { id }`)} }`),
    "fragments in a circle": () => this.#body(this.#fragments()),
    directives: () => this.#body(`{ hello ${"@include(if: true) ".repeat(this.#below(3_000))} }`),
    introspection: () =>
      this.#body(`{ __schema { types { ${"fields { type { ".repeat(3)} name ${"} } ".repeat(3)} } } }`),
    filters: () =>
      this.#body(`{ flow_run(where: ${this.#filter(this.#below(7))}, limit: ${this.#of(NUMBERS)}) { id } }`),
    "text in literals": () => this.#body(`mutation { create_project(input: {name: ${this.#literal()}}) { id } }`),
    numbers: () => this.#body(`{ flow(limit: ${this.#of(NUMBERS)}, offset: ${this.#of(NUMBERS)}) { id version } }`),
    "no UTF-8": () => this.#damage(Buffer.from(this.#body("{ hello }")), BROKEN),
    "signs at random": () => this.#times(this.#below(300), () => this.#of(NEST)),
    "variables as text": () => JSON.stringify({ query: "{ hello }", variables: this.#json(2) }),
  };

  #valid(): string {
    return this.#body(this.#of(this.#world.documents).text);
  }

  #body(query: string): string {
    return JSON.stringify({ query });
  }

  #input(value: (fields: readonly string[]) => string): string {
    const { root, type, fields } = this.#of(this.#world.inputs);
    const query = `mutation($input: ${type}!) { ${root}(input: $input) { __typename } }`;
    return `{"query":${JSON.stringify(query)},"variables":{"input":${value(fields)}}}`;
  }

  #objectOf(fields: readonly string[]): string {
    return `{${fields.map((name) => `${JSON.stringify(name)}:${this.#json(2)}`).join(",")}}`;
  }

  /** Any JSON, with numbers and texts that are troublesome. */
  #json(depth: number): string {
    switch (this.#below(depth > 0 ? 8 : 6)) {
      case 0:
        return "null";
      case 1:
        return this.#of(["true", "false"]);
      case 2:
        return this.#of(NUMBERS);
      case 3:
        return JSON.stringify(this.#of(this.#world.ids));
      case 4:
      case 5:
        return JSON.stringify(this.#of(STRINGS));
      case 6:
        return `[${Array.from({ length: this.#below(4) }, () => this.#json(depth - 1)).join(",")}]`;
      default: {
        const keys = Array.from({ length: this.#below(4) }, () => this.#of(["type", "state", "a", "__proto__", "id"]));
        return `{${keys.map((key) => `"${key}":${this.#json(depth - 1)}`).join(",")}}`;
      }
    }
  }

  #literal(): string {
    return this.#of([
      '"\\ud83d\\ude00"',
      '"\\ud83d"',
      '"\\ude00\\ud83d"',
      '"\\u{1F600}"',
      '"\\u{110000}"',
      '"""a\\"""b"""',
      '"a',
      '"\\x"',
    ]);
  }

  #nested(levels: number): string {
    const shape = this.#below(3);
    if (shape === 0) return `{ flow { ${"flow_runs { flow { ".repeat(levels)} id ${"} } ".repeat(levels)} } }`;
    if (shape === 1) return `{ ${"... { ".repeat(levels)} hello ${"} ".repeat(levels)} }`;
    return `{ flow(where: ${"{_and: [".repeat(levels)}${"]}".repeat(levels)}) { id } }`;
  }

  #fragments(): string {
    const count = 1 + this.#below(60);
    const name = () => `F${this.#below(count + 1)}`;
    return `{ ...F0 } ${this.#times(count, (n) => `fragment F${n} on Query { hello ...${name()} ...${name()} }`)}`;
  }

  #filter(depth: number): string {
    if (depth === 0)
      return this.#of(["{}", "{id: {_eq: null}}", '{name: {_like: "%a%"}}', "{id: {_in: []}}", "{x: 1}"]);
    const inner = this.#filter(depth - 1);
    return this.#of([
      `{_not: ${inner}}`,
      `{_or: [${inner}, {}]}`,
      `{flow: {flow_runs: ${inner}}}`,
      `{task_runs: {flow_run: ${inner}}}`,
    ]);
  }

  #shuffle(text: string): string {
    const words = text.split(" ");
    for (let times = 1 + this.#below(3); times > 0; times--) {
      words[this.#below(words.length)] = this.#of([...words, ...NEST, ...NUMBERS]);
    }
    return words.join(" ");
  }

  #damage(bytes: Buffer, by: readonly (readonly number[])[] = []): Buffer {
    const at = this.#below(bytes.length);
    const put = by.length > 0 ? this.#of(by) : [this.#below(256)];
    return Buffer.concat([bytes.subarray(0, at), Buffer.from(put), bytes.subarray(at + this.#below(3))]);
  }

  #times(count: number, make: (n: number) => string): string {
    return Array.from({ length: count }, (_, n) => make(n)).join(" ");
  }

  #below(count: number): number {
    return Math.floor(this.#random() * count);
  }

  #of<T>(values: readonly T[]): T {
    return values[this.#below(values.length)]!;
  }
}
