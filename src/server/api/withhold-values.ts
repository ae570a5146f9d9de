import {
  coerceInputValue,
  GraphQLError,
  type GraphQLInputType,
  getNamedType,
  type VariableDefinitionNode,
} from "graphql";

/*
 * graphql-js repeats in its errors what it could not read. Clients keep errors in logs, so of what may hold a credential they
 * are told what is wrong and where, and not what stands there.
 */

/** Root fields that are sent credentials, and the types of their inputs. */
const SECRETIVE_ROOTS = /\b(set_secret|create_cloud_hook)\b/;
const secretiveTypes: ReadonlySet<string> = new Set(["set_secret_input", "create_cloud_hook_input"]);

/** Sentences of graphql-js's coerceInputValue about the shape of a value; its others are about the value. */
const ABOUT_SHAPE = /^(Field "|Expected type "|Expected non-nullable type ")/;

/** Whether errors about a variable of this type may repeat its value. */
export function isSecretive(type: GraphQLInputType): boolean {
  return secretiveTypes.has(getNamedType(type).name);
}

/** What is wrong with a variable's value, without the value. */
export function shapeErrors(
  definition: VariableDefinitionNode,
  type: GraphQLInputType,
  value: unknown,
): GraphQLError[] {
  const name = definition.variable.name.value;
  const errors: GraphQLError[] = [];
  coerceInputValue(value, type, (path, _, { message }) => {
    const place = [name, ...path].join(".");
    const why = ABOUT_SHAPE.test(message) ? message : "It is of another type.";
    errors.push(new GraphQLError(`Variable "$${name}" cannot be read at "${place}". ${why}`, { nodes: definition }));
  });
  return errors;
}

/** Where graphql-js begins to quote a document. */
const QUOTES = /, found | value: |(?<=: Unexpected \w+) "/;

/** Errors of a document, without the literals that they quote where the document sends credentials. */
export function withoutLiterals(text: string, errors: readonly GraphQLError[]): readonly GraphQLError[] {
  if (!SECRETIVE_ROOTS.test(text)) return errors;
  return errors.map((error) => {
    const at = error.message.search(QUOTES);
    if (at < 0) return error;
    const { nodes, source, positions } = error;
    return new GraphQLError(`${error.message.slice(0, at)}.`, { nodes, source, positions });
  });
}
