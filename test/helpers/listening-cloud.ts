import type { Cloud, CreatedFlow, NewFlow } from "../../src/client/cloud.js";

export interface ListeningCloud extends Cloud {
  /** Every call so far: name and first argument. */
  readonly calls: [name: string, argument: unknown][];
  readonly flows: NewFlow[];
}

/** A Cloud that is outside of what is tested: it registers flows in a list. Any other call is a fault of the test. */
export function listeningCloud(start: { projects?: string[] } = {}): ListeningCloud {
  const projects = new Map((start.projects ?? []).map((name) => [name, `project ${name}`]));
  const calls: [string, unknown][] = [];
  const flows: NewFlow[] = [];
  const cloud = {
    url: "http://127.0.0.1:4200",
    calls,
    flows,
    async findProject(name: string) {
      calls.push(["findProject", name]);
      return projects.get(name);
    },
    async createProject(name: string) {
      calls.push(["createProject", name]);
      projects.set(name, `project ${name}`);
      return `project ${name}`;
    },
    async createFlow(flow: NewFlow): Promise<CreatedFlow> {
      calls.push(["createFlow", flow]);
      const last = flows.findLastIndex((each) => each.spec.name === flow.spec.name);
      const created = flows[last]?.idempotencyKey !== flow.idempotencyKey;
      if (created) flows.push(flow);
      const version = flows.filter((each) => each.spec.name === flow.spec.name).length;
      return { flowId: `flow ${version}`, flowGroupId: `group ${flow.spec.name}`, version, created };
    },
  };
  return cloud as unknown as ListeningCloud;
}
