import { isMainThread } from "node:worker_threads";
import { hardenThread } from "./harden.js";

/*
 * Loaded by `--require`, as the first thing of all, in each thread that a hardened thread starts, and by module.register()
 * in the thread of its hooks. A process of its own that inherits the option is no thread of the agent's.
 */
if (!isMainThread) hardenThread();
