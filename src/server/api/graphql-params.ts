import { requestError, type WireError } from "./graphql-error.js";

/** A GraphQL request as its JSON body says it. */
export interface GraphqlParams {
  query: string;
  operationName: string | null;
  variables: Record<string, unknown> | null;
}

/** Reads the body of a POST. `variables` may be an object, null, or either of them as JSON text: Prefect's client sends that. */
export function readParams(body: string): GraphqlParams | WireError {
  const parsed = parseJson(body);
  if (parsed === undefined) return requestError("INPUT_INVALID", "The request's body is not JSON.");
  if (!isObject(parsed)) return requestError("INPUT_INVALID", "The request's body is not a JSON object.");
  const { query, operationName = null } = parsed;
  if (typeof query !== "string") return requestError("INPUT_INVALID", "The request's `query` is not a text.");
  if (operationName !== null && typeof operationName !== "string") {
    return requestError("INPUT_INVALID", "The request's `operationName` is not a text.");
  }
  const sent = parsed.variables ?? null;
  const variables = typeof sent === "string" ? parseJson(sent) : sent;
  if (variables === undefined) return requestError("INPUT_INVALID", "The request's `variables` are not JSON.");
  if (variables !== null && !isObject(variables)) {
    return requestError("INPUT_INVALID", "The request's `variables` are not an object.");
  }
  return { query, operationName, variables };
}

/** Undefined for what is not JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
