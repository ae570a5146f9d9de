/** Started by `startAgentProcess`: an agent that runs until it is killed. */
import { LocalAgent } from "../../src/agent/local-agent.js";
import { openCloud } from "../../src/client/cloud-client.js";

interface Options {
  url: string;
  token: string;
  labels: string[];
  leaseMs: number;
  threads?: number;
}

const { url, token, labels, leaseMs, threads = 2 } = JSON.parse(process.argv[2]!) as Options;
const agent = new LocalAgent({ cloud: openCloud({ url, token }), labels, leaseMs, threads });
await agent.start();
process.send?.("ready");
await agent.run();
