import t from "tap";
import { argumentForms, readProtocolJson, readScenarios, shapeOf, shuffled } from "../../helpers/protocol-fixtures.js";
import { type Needs, Replay, unmet } from "../../helpers/protocol-replay.js";
import { startTestCloud } from "../../helpers/server.js";

const scenarios = readScenarios();
const answered = scenarios.flatMap(({ requests }) => requests.filter(({ error }) => error === undefined));

/** Numbers that look random and are the same each time. */
function randomFrom(seed: number): () => number {
  let at = seed;
  return () => {
    at = (at * 1103515245 + 12345) % 2147483648;
    return at / 2147483648;
  };
}

for (const [order, random] of [
  ["as they were written", null],
  ["with their fields in other orders", randomFrom(11)],
] as const) {
  t.test(`the scenarios, ${order}`, async (t) => {
    const cloud = await startTestCloud(t);
    const replay = new Replay(cloud);
    for (const { name, requests } of scenarios) {
      await t.test(name, async (t) => {
        for (const [at, request] of requests.entries()) {
          const wrong = await replay.send(request, random ? shuffled(request.query, random) : request.query);
          t.same(wrong, [], `request ${at + 1}: ${shapeOf(request.query)}`);
        }
      });
    }
    t.same(
      cloud.log.filter(({ level }) => level === "error"),
      [],
      "nothing failed inside the Cloud",
    );
  });
}

t.test(
  "every operation that the client sends is among the requests, and it is said what it needs of the answer",
  async (t) => {
    const sent = new Set(answered.map(({ query }) => shapeOf(query)));
    t.same(Object.keys(readProtocolJson<Needs>("needs.json")).sort(), [...sent].sort());
  },
);

t.test("every form that the client gives to arguments is among the requests", async (t) => {
  const sent = new Set(answered.flatMap(({ query }) => argumentForms(query)));
  t.same([...sent].sort(), readProtocolJson<string[]>("argument-forms.json").toSorted());
});

t.test("an answer that lacks what the client needs is found out", async (t) => {
  const answer = { flow: [{ id: "a", storage: null }, { id: null }], tenant: [] };
  t.same(unmet(answer, "flow/*/id!"), ["flow/1/id is null"]);
  t.same(unmet(answer, "flow/*/storage"), ["flow/1/storage is missing"]);
  t.same(unmet(answer, "flow/*/storage/type!"), [], "of what is not there, only its own need is said");
  t.same(unmet(answer, "tenant+"), ["tenant is empty"]);
  t.same(unmet(answer, "tenant"), []);
  t.same(unmet(null, "tenant!"), ["an answer without data"]);
});
