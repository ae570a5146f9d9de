export { LocalAgent, type LocalAgentOptions } from "./local-agent.js";
