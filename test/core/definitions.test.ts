import t from "tap";
import { inTaskContext, type TaskContext } from "../../src/core/context.js";
import { collectDefinitions, heldBack, noteDefinition } from "../../src/core/definitions.js";
import type { FlowDefinition } from "../../src/core/flow-definition.js";
import { task } from "../../src/core/task.js";
import { build } from "../helpers/build.js";

const one = task("one", () => 1);

/** What `flow()` does. */
function define(name: string): FlowDefinition {
  const made = build(name, () => one());
  noteDefinition(made);
  return made;
}

const NEVER = Symbol("never settled");

/** What a promise gives within two turns of the event loop, or NEVER. */
async function soon(promise: Promise<unknown> | undefined): Promise<unknown> {
  const turns = async () => {
    for (let i = 0; i < 2; i++) await new Promise((resolve) => setImmediate(resolve));
    return NEVER;
  };
  return promise === undefined ? undefined : Promise.race([promise, turns()]);
}

t.test("a load gives the flows that were defined meanwhile, and no others", async (t) => {
  define("before");
  const flows = await collectDefinitions(async () => {
    define("a");
    define("b");
  });
  define("after");
  t.same([...flows.keys()], ["a", "b"]);
});

t.test("a flow that no load defined acts", async (t) => {
  t.equal(heldBack(define("free"), "stand-in"), undefined);
  await collectDefinitions(async () => {
    const own = define("mine");
    t.not(heldBack(own, "x"), undefined);
    t.equal(
      heldBack(
        build("other", () => one()),
        "x",
      ),
      undefined,
      "nor does a flow of another module wait",
    );
  });
});

t.test("a flow that the host defines while a load is under way is no part of it, and acts", async (t) => {
  const loading = collectDefinitions(async () => {
    await new Promise((resolve) => setImmediate(resolve));
    define("shared name");
  }, "wanted");
  const own = define("shared name");
  const wanted = define("wanted");
  t.equal(heldBack(own, "stand-in"), undefined, "while the load is under way");
  t.same([...(await loading).values()].includes(own), false);
  for (const each of [own, wanted]) t.equal(heldBack(each, "stand-in"), undefined, "when it is over");
});

t.test("before the wanted flow stands, a call answers with its stand-in; behind it nothing runs", async (t) => {
  const reached: string[] = [];
  const flows = await collectDefinitions(async () => {
    const first = define("first");
    reached.push(await heldBack(first, "stand-in")!);
    define("wanted");
    await heldBack(first, "stand-in");
    reached.push("behind the wanted flow");
  }, "wanted");
  t.same([...flows.keys()], ["first", "wanted"]);
  t.same(reached, ["stand-in"]);
});

t.test("a call without a stand-in ends the load", async (t) => {
  const reached: string[] = [];
  const flows = await collectDefinitions(async () => {
    await heldBack(define("agent"), undefined);
    reached.push("behind");
  });
  t.same([...flows.keys()], ["agent"]);
  t.same(reached, []);
});

t.test("a call made when its load is over, from a main() that nobody awaits, never acts", async (t) => {
  let later: FlowDefinition | undefined;
  await collectDefinitions(async () => {
    later = define("later");
  });
  t.equal(await soon(heldBack(later!, "stand-in")), NEVER);
  const copy = { ...later! };
  t.equal(heldBack(copy, "stand-in"), undefined, "the copy that loadFlow() hands out acts");
});

t.test("a task may run a flow of its own module", async (t) => {
  let inner: FlowDefinition | undefined;
  await collectDefinitions(async () => {
    inner = define("inner");
  });
  t.equal(
    inTaskContext({} as TaskContext, () => heldBack(inner!, undefined)),
    undefined,
  );
});

t.test("loads queue up behind each other", async (t) => {
  const order: string[] = [];
  const load = (name: string) =>
    collectDefinitions(async () => {
      order.push(`${name} begins`);
      await new Promise((resolve) => setImmediate(resolve));
      define(name);
      order.push(`${name} ends`);
    });
  const [a, b] = await Promise.all([load("a"), load("b")]);
  t.same([[...a.keys()], [...b.keys()]], [["a"], ["b"]]);
  t.same(order, ["a begins", "a ends", "b begins", "b ends"]);
});

t.test("a module that fails to load fails its load and not the next", async (t) => {
  const failed = collectDefinitions(async () => {
    define("half");
    throw new Error("no such file");
  });
  await t.rejects(failed, { message: "no such file" });
  t.same([...(await collectDefinitions(async () => define("whole"))).keys()], ["whole"]);
});

t.test("two flows of one name in one module are refused, and in two modules are not", async (t) => {
  const twice = collectDefinitions(async () => {
    define("same");
    define("same");
  });
  await t.rejects(twice, { code: "FLOW_NAME_TAKEN", message: /Two flows of one module are called "same"/ });
  define("same");
  define("same");
  t.same([...(await collectDefinitions(async () => define("same"))).keys()], ["same"]);
});
