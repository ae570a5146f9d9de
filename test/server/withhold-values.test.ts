import t from "tap";
import { startTestCloud } from "../helpers/server.js";

const NEEDLE = "hunter2-4711";
const SET = "mutation($input: set_secret_input!) { set_secret(input: $input) { success } }";
const HOOK = "mutation($input: create_cloud_hook_input!) { create_cloud_hook(input: $input) { id } }";

t.test("a secret that is sent in a wrong shape is refused with its place and without its value", async (t) => {
  const cloud = await startTestCloud(t);
  const cases: [query: string, input: unknown, message: string | RegExp][] = [
    [
      SET,
      { value: NEEDLE },
      'Variable "$input" cannot be read at "input". Field "name" of required type "String!" was not provided.',
    ],
    [SET, { name: "a", value: NEEDLE, more: NEEDLE }, /Field "more" is not defined by type "set_secret_input"/],
    [
      SET,
      { name: { a: NEEDLE }, value: 1 },
      'Variable "$input" cannot be read at "input.name". It is of another type.',
    ],
    [SET, { name: null, value: NEEDLE }, /at "input\.name"\. Expected non-nullable type "String!" not to be null\./],
    [SET, [{ value: NEEDLE }], /Expected type "set_secret_input" to be an object\./],
    [SET, NEEDLE, /Expected type "set_secret_input" to be an object\./],
    [SET, undefined, /\$input/],
    [
      HOOK,
      { type: "TWILIO", config: { auth_token: NEEDLE } },
      /Field "states" of required type "\[String!\]!" was not provided\./,
    ],
    [
      HOOK,
      { type: [NEEDLE], states: [{ a: NEEDLE }] },
      'Variable "$input" cannot be read at "input.type". It is of another type.',
    ],
  ];
  for (const [query, input, message] of cases) {
    const { status, body } = await cloud.ask(query, { input });
    t.equal(status, 200);
    t.match(body.errors?.[0]?.message, message);
    t.match(body.errors?.[0], { extensions: { code: "INPUT_INVALID" }, locations: [{ line: 1, column: 10 }] });
    t.notMatch(JSON.stringify(body), NEEDLE);
  }
  t.notMatch(JSON.stringify(cloud.log), NEEDLE);
  t.same(await cloud.rows("SELECT * FROM secret"), []);
});

t.test("neither is a secret repeated that stands in the document itself", async (t) => {
  const cloud = await startTestCloud(t);
  for (const [input, message] of [
    [`"${NEEDLE}"`, 'Expected value of type "set_secret_input!".'],
    [`{name: {a: "${NEEDLE}"}, value: 1}`, "String cannot represent a non string."],
    [`{name: "a", value: "${NEEDLE}", }, "${NEEDLE}"`, "Syntax Error: Expected Name."],
    [`{name: "a", "${NEEDLE}"}`, "Syntax Error: Expected Name."],
    [`) "${NEEDLE}"`, 'Syntax Error: Unexpected ")".'],
  ] as const) {
    const { status, body } = await cloud.ask(`mutation { set_secret(input: ${input}) { success } }`);
    t.equal(status, 400);
    t.equal(body.errors?.[0]?.message, message);
    t.notMatch(JSON.stringify(body), NEEDLE);
  }
});

t.test("values that are no secrets are repeated, as they help", async (t) => {
  const cloud = await startTestCloud(t);
  const query = `mutation($input: create_project_input!, $own: set_secret_input!) {
    create_project(input: $input) { id } set_secret(input: $own) { success } }`;
  const { body } = await cloud.ask(query, {
    input: { name: 7 },
    own: { value: NEEDLE },
  });
  t.match(body.errors, [
    { message: /Variable "\$own" cannot be read at "own"\. Field "name"/ },
    { message: /Variable "\$input" got invalid value 7 at "input\.name"/ },
  ]);
  t.notMatch(JSON.stringify(body), NEEDLE);
});
