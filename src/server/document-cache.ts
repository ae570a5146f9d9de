import { type DocumentNode, type GraphQLError, type GraphQLSchema, parse, validate } from "graphql";

/** A document that was parsed and validated, or why it cannot be executed. */
export type CheckedDocument =
  | { document: DocumentNode; errors?: undefined }
  | { errors: readonly GraphQLError[]; code: "GRAPHQL_PARSE_FAILED" | "GRAPHQL_VALIDATION_FAILED" };

/** Our own clients send about 30 documents; the rest is for people and for Prefect's, which write ids into theirs. */
const MAX_DOCUMENTS = 500;
/** A longer document is a one-off with data in it. */
const MAX_CACHED_LENGTH = 20_000;

/** Parses and validates each document once: that is more than half of what a small request costs. */
export class DocumentCache {
  readonly #schema: GraphQLSchema;
  readonly #documents = new Map<string, CheckedDocument>();

  constructor(schema: GraphQLSchema) {
    this.#schema = schema;
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
    const checked = check(this.#schema, text);
    if (text.length <= MAX_CACHED_LENGTH) {
      if (this.#documents.size >= MAX_DOCUMENTS) this.#documents.delete(this.#documents.keys().next().value!);
      this.#documents.set(text, checked);
    }
    return checked;
  }
}

function check(schema: GraphQLSchema, text: string): CheckedDocument {
  let document: DocumentNode;
  try {
    document = parse(text, { noLocation: false });
  } catch (error) {
    return { errors: [error as GraphQLError], code: "GRAPHQL_PARSE_FAILED" };
  }
  const errors = validate(schema, document);
  return errors.length === 0 ? { document } : { errors, code: "GRAPHQL_VALIDATION_FAILED" };
}
