import t from "tap";
import { nestingOf } from "../../src/server/api/nesting.js";
import { mutation, startTestCloud } from "../helpers/server.js";

const cloud = await startTestCloud(t);

t.test("brackets are counted as the parser would, not those in texts and comments", async (t) => {
  const cases: [text: string, depth: number][] = [
    ["", 0],
    ["{ a }", 1],
    ["{ a(b: [{c: 1}]) { d } } { e }", 4],
    ['{ a(b: "[[[[") }', 2],
    ['{ a(b: "\\"[[[[") }', 2],
    ['{ a(b: "\\\\") { c } [', 2],
    ['{ a(b: """[[ "" \\""" [[""") }', 2],
    ['{ a(b: """\\n""") [[ }', 3],
    ["{ a # [[[[[\n b }", 1],
    ['{ a(b: "[[[', 2],
    ["}}}}{", 0],
  ];
  for (const [text, depth] of cases) t.equal(nestingOf(text, 10), depth, text);
  t.equal(nestingOf("{".repeat(1_000), 10), 11, "no further than needed");
});

t.test("a document that is nested too deeply, or too long, is refused before it is parsed", async (t) => {
  const deep = [
    `{ ${"... { ".repeat(5_000)} hello ${"} ".repeat(5_000)} }`,
    `{ flow(where: ${"{_and: [".repeat(200)}${"]}".repeat(200)}) { id } }`,
    "{".repeat(100_000),
  ];
  for (const query of deep) {
    const { status, body } = await cloud.ask(query);
    t.equal(status, 400);
    t.match(body.errors, [{ extensions: { code: "GRAPHQL_PARSE_FAILED" }, message: /brackets in brackets/ }]);
  }
  const long = await cloud.ask(`{ ${"hello ".repeat(30_000)} }`);
  t.equal(long.status, 400);
  t.match(long.body.errors, [{ extensions: { code: "GRAPHQL_PARSE_FAILED" }, message: /tokens/ }]);
  t.strictSame(cloud.log, []);
});

t.test("variables may be nested as deeply as a body is long", async (t) => {
  for (const levels of [10_000, 1_000_000]) {
    const nested = `${"[".repeat(levels)}${"]".repeat(levels)}`;
    for (const name of ["create_project", "cancel_flow_run", "write_run_logs", "set_flow_run_states"] as const) {
      const bodies = [`{"input":${nested}}`, `{"input":{"name":${nested},"logs":[{"info":${nested}}]}}`, nested];
      for (const variables of bodies) {
        const { status, body } = await cloud.post(
          `{"query":${JSON.stringify(mutation(name))},"variables":${variables}}`,
        );
        t.ok(status === 200 || status === 400, `${name} ${levels}: ${status}`);
        t.not(body.errors?.[0]?.extensions.code, "INTERNAL", JSON.stringify(body.errors)?.slice(0, 200));
      }
    }
  }
  t.match((await cloud.ask("{ hello }")).body, { data: { hello: "hello" } });
});

t.test("many aliases of lists draw on one budget", async (t) => {
  const query = `{ ${Array.from({ length: 101 }, (_, n) => `a${n}: flow_run { id }`).join(" ")} }`;
  t.match((await cloud.ask(query)).body.errors, [{ extensions: { code: "INPUT_INVALID" } }]);
});
