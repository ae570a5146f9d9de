import { readFileSync } from "node:fs";
import { join } from "node:path";
import { isMillraceError, MillraceError } from "../core/errors.js";
import { millraceHome } from "../core/home.js";
import type { Cloud } from "./cloud.js";
import { readSecret } from "./settings.js";

type Env = NodeJS.ProcessEnv;

/** A variable of this name holds the secret whose name follows; names keep their case. */
export const SECRET_VARIABLE = "MILLRACE__CONTEXT__SECRETS__";

/** Secrets of this machine's user, by name: `{"API_TOKEN": "…"}`. */
export function secretsFile(env: Env = process.env): string {
  return join(millraceHome(env), "secrets.json");
}

/**
 * The value of a secret on this machine: from `given`, where a caller hands secrets in; from the environment, where text
 * that is JSON is taken as JSON; or from {@link secretsFile}. The file is read anew each time, so that a running agent
 * sees what was added.
 * @throws SECRET_NOT_FOUND naming those places, SECRETS_FILE_INVALID
 */
export function findLocalSecret(
  name: string,
  given: Readonly<Record<string, unknown>> = {},
  env: Env = process.env,
): unknown {
  if (Object.hasOwn(given, name) && given[name] !== undefined) return given[name];
  const found = lookOnMachine(name, env);
  if (found) return found.value;
  throw new MillraceError("SECRET_NOT_FOUND", `There is no secret "${name}".`, {
    hint: `Set ${placesOnMachine(name, env)}; \`flow.run()\` also takes it as its option \`secrets\`.`,
  });
}

/**
 * The value of a secret under an agent: from this machine, as {@link findLocalSecret}, which may so stand for the Cloud's;
 * and else the Cloud's.
 * @throws SECRET_NOT_FOUND naming those places, SECRETS_FILE_INVALID, and what the Cloud throws
 */
export async function findSecret(name: string, cloud: Pick<Cloud, "query">, env: Env = process.env): Promise<unknown> {
  const found = lookOnMachine(name, env);
  if (found) return found.value;
  try {
    return await readSecret(cloud, name);
  } catch (error) {
    if (!isMillraceError(error, "SECRET_NOT_FOUND")) throw error;
    throw new MillraceError(
      "SECRET_NOT_FOUND",
      `There is no secret "${name}", neither at the agent nor in the Cloud.`,
      {
        hint: `Run \`millrace secret set ${name}\`. Or set, where the agent runs, ${placesOnMachine(name, env)}.`,
        cause: error,
      },
    );
  }
}

function lookOnMachine(name: string, env: Env): { value: unknown } | undefined {
  const text = env[SECRET_VARIABLE + name];
  if (text !== undefined) return { value: fromText(text) };
  const kept = readSecrets(secretsFile(env));
  return Object.hasOwn(kept, name) ? { value: kept[name] } : undefined;
}

const placesOnMachine = (name: string, env: Env): string =>
  `the environment variable ${SECRET_VARIABLE}${name}, or put ${JSON.stringify(name)} into "${secretsFile(env)}"`;

function fromText(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return text;
  }
}

function readSecrets(file: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return {};
    throw invalid(file, "it cannot be read", error);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    // What the parser says quotes the text, which is secret.
    throw invalid(file, "it is not JSON", undefined);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw invalid(file, "it does not hold a JSON object", undefined);
}

function invalid(file: string, why: string, cause: unknown): MillraceError {
  return new MillraceError("SECRETS_FILE_INVALID", `The file "${file}" cannot be used: ${why}.`, {
    hint: 'It holds names and values, for instance {"API_TOKEN": "…"}.',
    ...(cause === undefined ? {} : { cause }),
  });
}
