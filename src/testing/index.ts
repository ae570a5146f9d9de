export type { Approval, PausedTaskRun } from "../engine/ports.js";
export { expectEnds, type TestFlowOptions, type TestRun, testFlow } from "./test-flow.js";
