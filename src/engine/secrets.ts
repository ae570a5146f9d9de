import type { FlowDefinition } from "../core/flow-definition.js";
import { secretsOf } from "../core/flow-spec.js";
import type { StandardSchema } from "../core/parameter.js";
import { secretNotDeclared } from "../core/secret.js";
import type { ResultRecord, State } from "../core/state.js";
import { convertSecret } from "./parameters.js";
import type { EngineOutcome, EnginePorts, SecretSource } from "./ports.js";
import { Redactor } from "./redact.js";

/** The type of a result that is a secret: its location is the secret's name, and nothing is kept anywhere. */
export const SECRET_RESULT = "SecretResult" as const satisfies ResultRecord["type"];

/** A run's ports with its flow's secrets looked after, and what takes them out of how the run ended. */
export interface GuardedRun {
  readonly ports: EnginePorts;
  readonly state: (state: State) => State;
  readonly outcome: (outcome: EngineOutcome) => EngineOutcome;
}

/**
 * Lets a run read the secrets that its flow declares and no others, each once; reads one in place of a result where a
 * state says that it is one; and takes every value that was read out of the states and log lines that are reported.
 */
export function guardSecrets(flow: FlowDefinition, ports: EnginePorts): GuardedRun {
  const declared = secretsOf(flow);
  const redactor = new Redactor();
  const secrets = declaredSecrets(flow, declared, ports.secrets, redactor);
  if (declared.length === 0) return { ports: { ...ports, secrets }, state: same, outcome: same };
  const { reporter, results } = ports;
  return {
    ports: {
      ...ports,
      secrets,
      results: {
        write: (value, place) => results.write(value, place),
        find: (target, place) => results.find(target, place),
        read: (result) =>
          result.type === SECRET_RESULT ? secrets.read(String(result.location)) : results.read(result),
      },
      reporter: {
        taskRun: (change) => reporter.taskRun({ ...change, state: redactor.state(change.state) }),
        flowRun: (change) => reporter.flowRun({ ...change, state: redactor.state(change.state) }),
        log: (line) => reporter.log(redactor.log(line)),
      },
    },
    state: (state) => redactor.state(state),
    outcome: ({ state, taskRuns, ...rest }) => ({
      ...rest,
      state: redactor.state(state),
      taskRuns: taskRuns.map((each) => ({
        ...each,
        state: redactor.state(each.state),
        value: each.state.result?.type === SECRET_RESULT ? undefined : each.value,
      })),
    }),
  };
}

const same = <T>(value: T): T => value;

function declaredSecrets(
  flow: FlowDefinition,
  declared: readonly string[],
  source: SecretSource,
  redactor: Redactor,
): SecretSource {
  const schemas = new Map<string, StandardSchema<unknown> | undefined>();
  for (const { kind, name, secret } of flow.tasks) if (kind === "secret") schemas.set(name, secret?.schema);
  const reads = new Map<string, Promise<unknown>>();
  const read = async (name: string): Promise<unknown> => {
    const value = await source.read(name);
    // Before anything else can fail: what a schema or a task says of the value must not show it.
    redactor.learn(value);
    const converted = await convertSecret(name, schemas.get(name), value);
    redactor.learn(converted);
    return converted;
  };
  return {
    async read(name) {
      if (!schemas.has(name)) throw secretNotDeclared(flow.name, name, declared);
      const reading = reads.get(name) ?? read(name);
      reads.set(name, reading);
      // A failure is not kept: the next task that asks may have more luck.
      reading.catch(() => reads.delete(name));
      return reading;
    },
  };
}
