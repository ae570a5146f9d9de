import { spawnSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import t from "tap";
import { authorStack, describeError, errorCodes, isMillraceError, MillraceError } from "../../src/core/errors.js";

t.test("an error carries what was asked, what to do, and its cause", async (t) => {
  const cause = new Error("ENOENT");
  const error = new MillraceError("FILE_NOT_FOUND", 'There is no file "a.ts".', {
    hint: "Check the path.",
    cause,
    details: { path: "a.ts" },
  });
  t.match(error, { name: "MillraceError", code: "FILE_NOT_FOUND", hint: "Check the path.", details: { path: "a.ts" } });
  t.equal(error.cause, cause);
  t.equal("cause" in new MillraceError("INTERNAL", "x"), false, "no cause is not an undefined cause");
});

t.test("an error of another copy of the package is recognised", async (t) => {
  const foreign = Object.defineProperty(
    Object.assign(new Error("x"), { code: "FLOW_EMPTY" }),
    Symbol.for("millrace.error"),
    { value: true },
  );
  t.ok(isMillraceError(foreign));
  t.ok(isMillraceError(foreign, "FLOW_EMPTY"));
  t.notOk(isMillraceError(foreign, "FLOW_CYCLE"));
  for (const other of [new Error("x"), { code: "FLOW_EMPTY" }, null, undefined, "FLOW_EMPTY"])
    t.notOk(isMillraceError(other));
});

t.test("people see code, message and hint; of other errors the stack", async (t) => {
  t.equal(
    describeError(new MillraceError("FLOW_EMPTY", "It has no tasks.", { hint: "Call one." })),
    "FLOW_EMPTY: It has no tasks.\n  Call one.",
  );
  t.equal(describeError(new MillraceError("FLOW_EMPTY", "It has no tasks.")), "FLOW_EMPTY: It has no tasks.");
  t.match(describeError(new Error("other")), /^Error: other\n +at /);
  t.equal(describeError("text"), "text");
});

t.test("an error that nothing catches is printed as code, message, hint and the author's own lines", async (t) => {
  const file = join(t.testdir(), "author.mjs");
  const errors = new URL("../../src/core/errors.js", import.meta.url).href;
  writeFileSync(
    file,
    `import { MillraceError } from ${JSON.stringify(errors)};
     function mine() { throw new MillraceError("FLOW_EMPTY", "It has no tasks.", { hint: "Call one." }); }
     mine();`,
  );
  const { stderr, status } = spawnSync(process.execPath, [file], { encoding: "utf8" });
  t.equal(status, 1);
  t.match(stderr, /FLOW_EMPTY: It has no tasks\.\n {2}Call one\.\n +at mine \(.*author\.mjs:2/);
  t.notMatch(stderr, /node:internal|^ *hint:/m);
});

t.test("of a stack the author's frames are left, and all of them when there are no others", async (t) => {
  const own = `    at tryTask (${fileURLToPath(new URL("../../src/engine/task-runner.js", import.meta.url))}:1:2)`;
  const mine = "    at load (/home/ada/orders.ts:3:9)";
  const nodes = "    at node:internal/process/task_queues:104:5";
  t.equal(authorStack(["Error: two", "lines", mine, own, nodes].join("\n")), ["Error: two", "lines", mine].join("\n"));
  t.equal(authorStack(["Error: x", own, nodes].join("\n")), ["Error: x", own, nodes].join("\n"));
});

t.test("codes are words in capitals, and each has a sentence", async (t) => {
  for (const [code, meaning] of Object.entries(errorCodes)) {
    t.match(code, /^[A-Z]+(_[A-Z]+)*$/);
    t.match(meaning, /^[A-Z].+\.$/, code);
  }
});
