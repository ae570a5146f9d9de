import {
  type GraphQLError,
  type GraphQLInputObjectType,
  type GraphQLInputType,
  type GraphQLSchema,
  getVariableValues,
  isInputObjectType,
  isInputType,
  isListType,
  isNonNullType,
  type NamedTypeNode,
  type OperationDefinitionNode,
  typeFromAST,
  type VariableDefinitionNode,
  valueFromAST,
} from "graphql";
import { MillraceError } from "../../core/errors.js";
import { isSecretive, shapeErrors } from "./withhold-values.js";

type Values = Record<string, unknown>;

/** Variables as their types want them, or why they cannot be. */
export type ReadVariables = { values: Values } | { errors: readonly GraphQLError[] };

/** Reads the variables of one operation, as often as it is sent. */
export type VariablesReader = (sent: Readonly<Values> | null) => ReadVariables;

/** One value of one type. @throws whatever, for a value that graphql-js is to look at */
type Read = (value: unknown) => unknown;

/**
 * Readers of variables, put together from the schema once for each operation. graphql-js looks each type up anew for each
 * value, and keeps a path for errors that nearly never come: 60 µs for a report of two states, against 10. Whatever is not
 * plainly right (an error, one item in place of a list) is left to graphql-js, which then answers in its own words.
 */
export class VariableReaders {
  readonly #schema: GraphQLSchema;
  readonly #reads = new Map<GraphQLInputType, Read>();

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
  }

  /** @param operation of a document that was validated */
  of({ variableDefinitions = [] }: OperationDefinitionNode): VariablesReader {
    const variables = variableDefinitions.map((definition) => this.#variable(definition));
    return (sent) => {
      try {
        const values: Values = {};
        for (const read of variables) read(sent ?? {}, values);
        return { values };
      } catch {
        const { coerced, errors } = getVariableValues(this.#schema, variableDefinitions, sent ?? {}, {
          maxErrors: MAX_ERRORS,
        });
        return errors ? { errors: this.#tellable(errors, variableDefinitions, sent ?? {}) } : { values: coerced };
      }
    };
  }

  /** graphql-js's own errors; of variables that may hold a credential, others that do not repeat it. */
  #tellable(
    errors: readonly GraphQLError[],
    definitions: readonly VariableDefinitionNode[],
    sent: Readonly<Values>,
  ): readonly GraphQLError[] {
    const secretive = new Map<unknown, GraphQLError[]>();
    for (const definition of definitions) {
      const type = typeFromAST(this.#schema, definition.type as NamedTypeNode);
      if (!isInputType(type) || !isSecretive(type)) continue;
      secretive.set(definition, shapeErrors(definition, type, sent[definition.variable.name.value]));
    }
    if (secretive.size === 0) return errors;
    const others = errors.filter(({ nodes }) => !secretive.has(nodes?.[0]));
    return [...[...secretive.values()].flat(), ...others];
  }

  #variable({ variable, type: node, defaultValue }: VariableDefinitionNode): (sent: Values, to: Values) => void {
    const name = variable.name.value;
    const type = typeFromAST(this.#schema, node);
    if (!isInputType(type)) throw new MillraceError("INTERNAL", `Variable $${name} has no input type.`);
    const read = this.#read(type);
    const missing = defaultValue && valueFromAST(defaultValue, type);
    return (sent, to) => {
      if (Object.hasOwn(sent, name)) to[name] = read(sent[name]);
      else if (missing !== undefined) to[name] = missing;
      else if (isNonNullType(type)) throw UNUSUAL;
    };
  }

  #read(type: GraphQLInputType): Read {
    let read = this.#reads.get(type);
    if (read === undefined) {
      read = this.#make(type);
      this.#reads.set(type, read);
    }
    return read;
  }

  #make(type: GraphQLInputType): Read {
    if (isNonNullType(type)) {
      const inner = this.#read(type.ofType);
      return (value) => {
        if (value === null || value === undefined) throw UNUSUAL;
        return inner(value);
      };
    }
    if (isListType(type)) {
      const item = this.#read(type.ofType);
      return (value) => {
        if (value === null || value === undefined) return null;
        if (!Array.isArray(value)) throw UNUSUAL;
        return value.map(item);
      };
    }
    if (isInputObjectType(type)) return this.#object(type);
    return (value) => {
      if (value === null || value === undefined) return null;
      const parsed: unknown = type.parseValue(value);
      if (parsed === undefined) throw UNUSUAL;
      return parsed;
    };
  }

  #object(type: GraphQLInputObjectType): Read {
    let fields: Field[] | undefined;
    return (value) => {
      if (value === null || value === undefined) return null;
      if (typeof value !== "object" || Array.isArray(value) || type.isOneOf) throw UNUSUAL;
      // At the first value, since a type may have fields of its own type.
      fields ??= Object.values(type.getFields()).map((field) => ({
        name: field.name,
        read: this.#read(field.type),
        missing: field.defaultValue,
        required: isNonNullType(field.type),
      }));
      const to: Values = {};
      let found = 0;
      for (const { name, read, missing, required } of fields) {
        const sent = (value as Values)[name];
        if (sent !== undefined) {
          to[name] = read(sent);
          found += 1;
        } else if (missing !== undefined) to[name] = missing;
        else if (required) throw UNUSUAL;
      }
      // There is one that the type does not know.
      if (found !== Object.keys(value).length) throw UNUSUAL;
      return to;
    };
  }
}

interface Field {
  name: string;
  read: Read;
  missing: unknown;
  required: boolean;
}

/** graphql-js's own. */
const MAX_ERRORS = 50;
/** Caught in this file, and no error, since a stack costs more than the reading does. */
const UNUSUAL = Symbol("unusual");
