export { AgentLoop, type AgentOptions } from "./agent-loop.js";
export { DockerAgent } from "./docker/docker-agent.js";
export type { DockerAgentOptions, PullPolicy } from "./docker/docker-options.js";
export { type ExecutedRun, type ExecuteRunOptions, executeRun } from "./execute-run.js";
export { LocalAgent, type LocalAgentOptions } from "./local-agent.js";
