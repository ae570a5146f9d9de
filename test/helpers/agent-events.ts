import { request } from "node:http";
import type { AgentEvent } from "../../src/client/wire.js";
import { eventually } from "./eventually.js";
import type { TestCloud } from "./server.js";

/** A subscription as a client has it: what came so far, and how it ended. */
export interface Subscription {
  readonly status: number;
  /** Everything that was sent, as text. */
  readonly text: string;
  readonly events: AgentEvent[];
  readonly ended: Promise<void>;
  /** The next event; a test that never gets it fails. */
  next(): Promise<AgentEvent>;
  close(): void;
}

/** Listens to an agent's events until it is closed, or the Cloud ends it. */
export function subscribe(cloud: TestCloud, agentId: string, flowGroupId?: string): Promise<Subscription> {
  const query =
    "subscription($a: UUID!, $g: UUID) { agent_events(agent_id: $a, flow_group_id: $g) { run_due cancelling granted } }";
  const body = JSON.stringify({ query, variables: { a: agentId, g: flowGroupId ?? null } });
  const headers = {
    "content-type": "application/json",
    accept: "text/event-stream",
    authorization: `Bearer ${cloud.token}`,
  };
  return new Promise((resolve, reject) => {
    const asked = request(`${cloud.url}/graphql/stream`, { method: "POST", headers });
    asked.once("error", reject);
    asked.once("response", (response) => {
      let text = "";
      let read = 0;
      const events: AgentEvent[] = [];
      response.setEncoding("utf8");
      response.on("error", () => {});
      response.on("data", (chunk: string) => {
        text += chunk;
        for (const block of text.slice(read).split("\n\n").slice(0, -1)) {
          read += block.length + 2;
          const data = /^event: next\ndata: (.*)$/m.exec(block)?.[1];
          const event = data === undefined ? undefined : JSON.parse(data).data?.agent_events;
          if (event) events.push(event);
        }
      });
      const ended = new Promise<void>((done) => response.once("close", () => done()));
      let taken = 0;
      resolve({
        status: response.statusCode ?? 0,
        get text() {
          return text;
        },
        events,
        ended,
        next: async () => {
          await eventually(() => events.length > taken, { everyMs: 1, message: "an event" });
          return events[taken++]!;
        },
        close: () => asked.destroy(),
      });
    });
    asked.end(body);
  });
}
