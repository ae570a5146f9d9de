import { createRequire } from "node:module";
import { fileURLToPath } from "node:url";
import { fix, forbidden } from "./forbid.js";

/*
 * The threads that a hardened thread starts are hardened before any code of theirs: otherwise flow code had only to go one
 * thread further. Flow code may have replaced methods of built-in objects by the time it starts one: nothing here calls a
 * method that could be such a one.
 */
const require = createRequire(import.meta.url);
const { apply, construct, defineProperty } = Reflect;
const { indexOf, slice, toUpperCase } = String.prototype;
const { isArray } = Array;

const preload = new URL("./harden-preload.js", import.meta.url);
const preloadFile = fileURLToPath(preload);

/** Options of Node that a nested thread may be given: none of them runs code before the preload, or opens Node's inside. */
const ALLOWED: Record<string, true> = Object.assign(
  Object.create(null),
  Object.fromEntries(
    [
      ...["-r", "--require", "--import", "-C", "--conditions", "--input-type", "--stack-trace-limit"],
      ...["--enable-source-maps", "--no-warnings", "--disable-warning", "--trace-warnings", "--trace-uncaught"],
      ...["--no-deprecation", "--trace-deprecation", "--throw-deprecation", "--pending-deprecation"],
      ...["--unhandled-rejections", "--preserve-symlinks", "--preserve-symlinks-main"],
      ...["--experimental-strip-types", "--no-experimental-strip-types", "--experimental-transform-types"],
      ...["--experimental-vm-modules", "--experimental-wasm-modules", "--experimental-import-meta-resolve"],
    ].map((name) => [name, true]),
  ),
);

interface GivenOptions {
  execArgv?: unknown;
  env?: unknown;
}

/** Wraps `worker_threads.Worker` and `module.register`; syncBuiltinESMExports() is the caller's. */
export function hardenNestedThreads(): void {
  wrapWorker();
  wrapRegister();
}

function wrapWorker(): void {
  const threads = require("node:worker_threads") as typeof import("node:worker_threads");
  const { Worker, SHARE_ENV } = threads;
  const ownEnv = process.env;
  const ownArgv = takePreloadOut(process.execArgv);
  const harden = (given: unknown): object => {
    // Getters are asked once.
    const options: GivenOptions = { ...(given as GivenOptions) };
    const { execArgv, env } = options;
    return { ...options, execArgv: hardArgv(execArgv ?? ownArgv), env: hardEnv(env, ownEnv, SHARE_ENV) };
  };
  const hardened = new Proxy(Worker, {
    construct: (native, args, target) => construct(native, [args[0], harden(args[1])], target) as object,
  });
  fix(Worker.prototype, "constructor", hardened);
  fix(threads, "Worker", hardened);
}

/** In a nested thread: `process.execArgv` is as its starter gave it, and so is what its own children inherit. */
function takePreloadOut(execArgv: string[]): string[] {
  if (execArgv[1] === preloadFile) execArgv.splice(0, 2);
  return [...execArgv];
}

function hardArgv(given: unknown): unknown {
  // Node refuses it.
  if (!isArray(given)) return given;
  const argv: unknown[] = ["--require", preloadFile];
  for (let index = 0; index < given.length; index += 1) {
    const value: unknown = given[index];
    if (typeof value === "string") checkOption(value);
    defineProperty(argv, index + 2, { value, writable: true, enumerable: true, configurable: true });
  }
  return argv;
}

function checkOption(text: string): void {
  if (text[0] !== "-") return;
  const end = apply(indexOf, text, ["="]);
  const name = end < 0 ? text : apply(slice, text, [0, end]);
  if (ALLOWED[name]) return;
  throw forbidden(
    `A flow's code may not start a worker thread with the option "${name}".`,
    "Leave the option out of the Worker's `execArgv`.",
  );
}

/** All but NODE_OPTIONS, whose options would come before the preload. */
function hardEnv(env: unknown, ownEnv: NodeJS.ProcessEnv, shared: symbol): unknown {
  if (env === shared) {
    for (const name in ownEnv) {
      if (isNodeOptions(name)) {
        throw forbidden(
          "A flow's code may not share an environment that has NODE_OPTIONS with a worker thread.",
          "Delete process.env.NODE_OPTIONS first, or leave `env` out.",
        );
      }
    }
    return env;
  }
  // Node refuses it.
  if (env !== undefined && typeof env !== "object") return env;
  const copy: NodeJS.ProcessEnv = { ...(env ?? ownEnv) };
  for (const name in copy) if (isNodeOptions(name)) delete copy[name];
  return copy;
}

function isNodeOptions(name: string): boolean {
  return apply(toUpperCase, name, []) === "NODE_OPTIONS";
}

/** Hooks run in a thread of their own, which Node makes at the first register(). */
function wrapRegister(): void {
  const module = require("node:module") as typeof import("node:module");
  const { register } = module;
  let isHard = false;
  fix(module, "register", (...args: unknown[]) => {
    if (!isHard) register(preload.href);
    isHard = true;
    return apply(register, module, args);
  });
}
