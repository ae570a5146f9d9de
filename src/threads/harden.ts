import { createRequire, syncBuiltinESMExports } from "node:module";
import { constants } from "node:os";
import { MessagePort } from "node:worker_threads";
import { fix, refusal } from "./forbid.js";
import { hardenNestedThreads } from "./harden-nested.js";

/*
 * Run first in a worker thread, and in those that it starts, before any flow code. Flow code shares the thread with the ports over which Millrace and
 * piscina talk to the agent. This takes away the ways that lead from flow code to those ports, and from this thread into
 * the main one. It is a guard against accidents and mischief, not a sandbox: a thread shares its process's files, signals
 * and memory limits whatever is done here (the documentation lists what remains). The main thread does not rely on it: it
 * checks what it is sent.
 */
export function hardenThread(): void {
  lockPortPrototypes();
  lockBuiltins();
  hidePorts();
  closeWaysOut();
  hardenNestedThreads();
  syncBuiltinESMExports();
}

const require = createRequire(import.meta.url);
const { defineProperty, getOwnPropertyDescriptor, getPrototypeOf, ownKeys, preventExtensions } = Reflect;

/** A replaced `postMessage` or `on` would be called with the port as `this`. */
function lockPortPrototypes(): void {
  const ports = MessagePort.prototype as object;
  const emitters = getPrototypeOf(ports)!;
  for (const prototype of [ports, emitters, EventTarget.prototype])
    for (const key of ownKeys(prototype)) lock(prototype, key);
  // Where async hooks are on, Node 22 hands a port's message on with `apply`, and the port in it.
  for (const key of ["apply", "call", "bind"]) lock(Function.prototype, key);
  // Nor may anything be put in front of them.
  preventExtensions(ports);
  preventExtensions(emitters);
  defineProperty(MessagePort, "prototype", { value: ports, writable: false, configurable: false });
}

/**
 * Makes a property unpatchable without freezing those that inherit it: assigning to another object gives that object a
 * property of its own, as it always did; assigning to the prototype does nothing.
 */
function lock(prototype: object, key: PropertyKey): void {
  const found = getOwnPropertyDescriptor(prototype, key);
  if (!found?.configurable || key === "constructor") return;
  if (!("value" in found)) {
    defineProperty(prototype, key, { ...found, configurable: false });
    return;
  }
  const { value, enumerable } = found;
  defineProperty(prototype, key, {
    get: () => value,
    set(this: object, replacement: unknown) {
      if (this === prototype) return;
      defineProperty(this, key, { value: replacement, writable: true, enumerable: true, configurable: true });
    },
    enumerable: enumerable ?? false,
    configurable: false,
  });
}

/**
 * The methods that piscina and comlink call with a port, or a task that holds one, in their hands: `handlerCache.get` picks
 * the function that is handed the next task, comlink's book-keeping is handed its endpoint.
 */
function lockBuiltins(): void {
  const methods: [object, string[]][] = [
    [Map.prototype, ["get"]],
    [WeakMap.prototype, ["get", "set"]],
    [FinalizationRegistry.prototype, ["register", "unregister"]],
  ];
  for (const [prototype, names] of methods) for (const name of names) lock(prototype, name);
}

/** Node's own windows on what a thread holds: they show ports that flow code did not open. */
function hidePorts(): void {
  const withPorts = process as unknown as Record<string, () => unknown[]>;
  for (const name of ["_getActiveHandles", "_getActiveRequests"]) {
    const list = withPorts[name];
    if (list) fix(process, name, () => list.call(process).filter((each) => !(each instanceof MessagePort)));
  }
  const hooks = require("node:async_hooks") as typeof import("node:async_hooks");
  const { createHook, executionAsyncResource } = hooks;
  const masked = (resource: object): object => (resource instanceof MessagePort ? {} : resource);
  fix(hooks, "executionAsyncResource", () => masked(executionAsyncResource()));
  fix(hooks, "createHook", (callbacks: Parameters<typeof createHook>[0]) => {
    const { init } = callbacks;
    if (typeof init !== "function") return createHook(callbacks);
    return createHook({
      ...callbacks,
      init: (id, type, trigger, resource) => init(id, type, trigger, masked(resource)),
    });
  });
}

/** What reaches past this thread: the inspector (also the main thread's), V8's flags, internal bindings, the process's report. */
function closeWaysOut(): void {
  const inspector = require("node:inspector") as typeof import("node:inspector");
  fix(inspector.Session.prototype, "connect", refusal("inspector.Session"));
  fix(inspector.Session.prototype, "connectToMainThread", refusal("inspector.Session"));
  fix(inspector, "open", refusal("inspector.open"));
  fix(require("node:v8"), "setFlagsFromString", refusal("v8.setFlagsFromString"));
  fix(process, "binding", refusal("process.binding"));
  fix(process, "_linkedBinding", refusal("process._linkedBinding"));
  keepInspectorShut();
  closeReport();
}

/** SIGUSR1 makes Node open the main thread's inspector on a local port. `process.kill` calls this. */
function keepInspectorShut(): void {
  const own = process as unknown as { pid: number; _kill(pid: number, signal: number): number };
  const { pid: ownPid, _kill } = own;
  const inspectorSignal = constants.signals.SIGUSR1;
  fix(process, "_kill", (to: unknown, signal: unknown) => {
    const [pid, number] = [Number(to) | 0, Number(signal) | 0];
    // 0 and negative numbers are groups, which this process may be in.
    if (number === inspectorSignal && (pid === ownPid || pid <= 0)) refusal("SIGUSR1 to the agent's process")();
    return _kill.call(process, pid, number);
  });
}

/** The report carries the whole process's environment, not this thread's. */
function closeReport(): void {
  const { report } = process;
  if (!report) return;
  fix(report, "writeReport", refusal("process.report.writeReport"));
  for (const name of ["reportOnFatalError", "reportOnSignal", "reportOnUncaughtException"]) {
    const get = getOwnPropertyDescriptor(report, name)?.get;
    if (get) defineProperty(report, name, { get, set: refusal(`process.report.${name}`), configurable: false });
  }
  const { getReport } = report;
  fix(report, "getReport", (error?: Error) => withoutEnvironment(getReport.call(report, error)));
}

/** Threads that this one has started have parts of their own in it. */
function withoutEnvironment(report: object): object {
  const { environmentVariables: _, workers, ...rest } = report as Record<string, unknown> & { workers?: object[] };
  return workers ? { ...rest, workers: workers.map(withoutEnvironment) } : rest;
}
