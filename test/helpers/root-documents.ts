import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputType,
  type GraphQLSchema,
  getNamedType,
  isEnumType,
  isInputObjectType,
  isLeafType,
  isListType,
  isNonNullType,
  isRequiredArgument,
  isRequiredInputField,
} from "graphql";

/** A root field of the schema and a valid document that asks for it. */
export interface RootDocument {
  kind: "query" | "mutation" | "subscription";
  name: string;
  text: string;
}

/** One for each root field, with a value for each argument that must be there; no row has such ids. */
export function rootDocuments(schema: GraphQLSchema): RootDocument[] {
  const types = [
    ["query", schema.getQueryType()],
    ["mutation", schema.getMutationType()],
    ["subscription", schema.getSubscriptionType()],
  ] as const;
  return types.flatMap(([kind, type]) =>
    Object.values(type?.getFields() ?? {}).map((field) => ({
      kind,
      name: field.name,
      text: `${kind} { ${selectRoot(field)} }`,
    })),
  );
}

/** The field with its arguments, and as little of its answer as there must be. */
export function selectRoot(field: GraphQLField<unknown, unknown>): string {
  const given = field.args.filter(isRequiredArgument).map(argumentText);
  const selection = isLeafType(getNamedType(field.type)) ? "" : " { __typename }";
  return `${field.name}${given.length > 0 ? `(${given.join(", ")})` : ""}${selection}`;
}

const argumentText = ({ name, type }: GraphQLArgument): string => `${name}: ${literalOf(type)}`;

const LITERALS: Readonly<Record<string, string>> = {
  UUID: '"018f0000-0000-7000-8000-0000000000ff"',
  ID: '"018f0000-0000-7000-8000-0000000000ff"',
  DateTime: '"2026-11-23T10:00:00Z"',
  Interval: '"00:00:10"',
  _uuid: '"{018f0000-0000-7000-8000-0000000000ff}"',
  JSON: "{}",
  Int: "1",
  Float: "1.5",
  Boolean: "false",
  String: '"none such"',
};

/** A literal that the type takes. */
function literalOf(type: GraphQLInputType): string {
  if (isNonNullType(type)) return literalOf(type.ofType);
  if (isListType(type)) return `[${literalOf(type.ofType)}]`;
  if (isEnumType(type)) return type.getValues()[0]!.name;
  if (isInputObjectType(type)) {
    const required = Object.values(type.getFields()).filter(isRequiredInputField);
    return `{${required.map((field) => `${field.name}: ${literalOf(field.type)}`).join(", ")}}`;
  }
  const literal = LITERALS[type.name];
  if (literal === undefined) throw new Error(`No literal is known for the scalar ${type.name}.`);
  return literal;
}
