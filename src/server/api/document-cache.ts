import {
  type DocumentNode,
  type GraphQLError,
  GraphQLError as GraphQLErrorClass,
  type GraphQLSchema,
  Kind,
  type OperationDefinitionNode,
  type OperationTypeNode,
  parse,
  type TypeNode,
  validate,
} from "graphql";
import { withOurTypeNames } from "../read/hasura-names.js";
import { VariableReaders, type VariablesReader } from "./coerce-variables.js";
import { nestingOf } from "./nesting.js";
import { withoutLiterals } from "./withhold-values.js";

/** A document that was parsed and validated, or why it cannot be executed. */
export type CheckedDocument =
  | { document: DocumentNode; operations: readonly CheckedOperation[]; errors?: undefined }
  | { errors: readonly GraphQLError[]; code: "GRAPHQL_PARSE_FAILED" | "GRAPHQL_VALIDATION_FAILED" };

/** One operation of a document. Its variables are read here, and graphql-js is given what came of it. */
export interface CheckedOperation {
  readonly name: string | null;
  readonly kind: OperationTypeNode;
  /** Its first root field, under which it is counted; of those there are as many as the schema has. */
  readonly firstRoot: string;
  readonly readVariables: VariablesReader;
}

/** Our own clients send about 30 documents; the rest is for people and for Prefect's, which write ids into theirs. */
const MAX_DOCUMENTS = 500;
/** A longer document is a one-off with data in it. */
const MAX_CACHED_LENGTH = 20_000;

/**
 * Longer documents are not parsed: a document is written by a person or a client, and data belongs into its variables. At this
 * length the worst one takes 0.2 s to be validated, which nobody else is answered in.
 */
const MAX_TOKENS = 20_000;
/** Reads are at most 7 levels deep, and a filter that a program wrote has some tens. The stack is good for some thousand. */
const MAX_NESTING = 150;

/** Parses and validates each document once: that is more than half of what a small request costs. */
export class DocumentCache {
  readonly #schema: GraphQLSchema;
  readonly #readers: VariableReaders;
  readonly #documents = new Map<string, CheckedDocument>();

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
    this.#readers = new VariableReaders(schema);
  }

  get size(): number {
    return this.#documents.size;
  }

  get(text: string): CheckedDocument {
    const known = this.#documents.get(text);
    if (known !== undefined) {
      // The least recently used goes first.
      this.#documents.delete(text);
      this.#documents.set(text, known);
      return known;
    }
    const checked = this.#check(text);
    if (text.length <= MAX_CACHED_LENGTH) {
      if (this.#documents.size >= MAX_DOCUMENTS) this.#documents.delete(this.#documents.keys().next().value!);
      this.#documents.set(text, checked);
    }
    return checked;
  }

  #check(text: string): CheckedDocument {
    if (nestingOf(text, MAX_NESTING) > MAX_NESTING) {
      const message = `The document has more than ${MAX_NESTING} brackets in brackets.`;
      return { errors: [new GraphQLErrorClass(message)], code: "GRAPHQL_PARSE_FAILED" };
    }
    let document: DocumentNode;
    try {
      document = withOurTypeNames(parse(text, { noLocation: false, maxTokens: MAX_TOKENS }), text);
    } catch (error) {
      return { errors: withoutLiterals(text, [error as GraphQLError]), code: "GRAPHQL_PARSE_FAILED" };
    }
    const errors = validate(this.#schema, document);
    if (errors.length > 0) return { errors: withoutLiterals(text, errors), code: "GRAPHQL_VALIDATION_FAILED" };
    const operations = document.definitions
      .filter((definition) => definition.kind === Kind.OPERATION_DEFINITION)
      .map((operation) => ({
        name: operation.name?.value ?? null,
        kind: operation.operation,
        firstRoot: firstRootOf(operation),
        readVariables: this.#readers.of(operation),
      }));
    return { document: withReadVariables(document), operations };
  }
}

function firstRootOf({ selectionSet }: OperationDefinitionNode): string {
  const [first] = selectionSet.selections;
  return first?.kind === Kind.FIELD ? first.name.value : "fragment";
}

/** JSON is the scalar that takes every value as it is: variables that were read are not read again. */
const AS_IT_IS: TypeNode = { kind: Kind.NAMED_TYPE, name: { kind: Kind.NAME, value: "JSON" } };

function withReadVariables(document: DocumentNode): DocumentNode {
  const takeAsTheyAre = (operation: OperationDefinitionNode): OperationDefinitionNode => ({
    ...operation,
    variableDefinitions: (operation.variableDefinitions ?? []).map((each) => ({ ...each, type: AS_IT_IS })),
  });
  return {
    ...document,
    definitions: document.definitions.map((definition) =>
      definition.kind === Kind.OPERATION_DEFINITION ? takeAsTheyAre(definition) : definition,
    ),
  };
}
