export type { Cloud, NewFlowRun, RegisteredFlow } from "./cloud.js";
export { openCloud } from "./cloud-client.js";
export { resolveCloud } from "./config.js";
