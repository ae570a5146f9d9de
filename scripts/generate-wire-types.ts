import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import {
  type ConstDirectiveNode,
  type FieldDefinitionNode,
  type InputValueDefinitionNode,
  Kind,
  type ObjectTypeDefinitionNode,
  type ObjectTypeExtensionNode,
  parse,
  type StringValueNode,
  type TypeNode,
} from "graphql";
import { schemaText } from "../src/server/api/schema.js";

/** What a scalar is on the wire. */
const SCALARS: Record<string, string> = {
  Boolean: "boolean",
  DateTime: "string",
  Float: "number",
  ID: "string",
  Int: "number",
  JSON: "unknown",
  String: "string",
  UUID: "string",
};
const ROOTS: Record<string, string> = { Query: "Queries", Mutation: "Mutations", Subscription: "Subscriptions" };

const HEADER = `// Made from src/server/api/schema/ by \`npm run generate\`. Do not edit: a test compares it with the schema.
`;

/** The TypeScript text that says what the schema says: an interface for each type, and one for each root's fields. */
export function wireTypes(schema: string): string {
  const parts: string[] = [HEADER];
  const { definitions } = parse(schema);
  for (const definition of definitions) {
    if (definition.kind === Kind.OBJECT_TYPE_DEFINITION) {
      const { value } = definition.name;
      const more = definitions.filter((each) => each.kind === Kind.OBJECT_TYPE_EXTENSION && each.name.value === value);
      const all = [definition, ...(more as ObjectTypeExtensionNode[])].flatMap((each) => each.fields ?? []);
      parts.push(objectType(definition, all));
    }
    if (definition.kind === Kind.INPUT_OBJECT_TYPE_DEFINITION) {
      const fields = (definition.fields ?? []).map(
        (field) => `${doc(field.description, "  ")}  ${inputField(field)};\n`,
      );
      parts.push(
        `${doc(definition.description)}export interface ${pascal(definition.name.value)} {\n${fields.join("")}}\n`,
      );
    }
  }
  return parts.join("\n");
}

function objectType(definition: ObjectTypeDefinitionNode, all: readonly FieldDefinitionNode[]): string {
  const root = ROOTS[definition.name.value];
  const fields = all.map((field) => {
    const text = root === undefined ? `${field.name.value}: ${outputType(field.type)}` : rootField(field);
    return `${doc(field.description, "  ", field.directives)}  ${text};\n`;
  });
  return `${doc(definition.description)}export interface ${root ?? pascal(definition.name.value)} {\n${fields.join("")}}\n`;
}

function rootField(field: FieldDefinitionNode): string {
  const found = field.arguments ?? [];
  const input = found.length === 0 ? "Record<string, never>" : `{ ${found.map(inputField).join("; ")} }`;
  return `${field.name.value}: { arguments: ${input}; payload: ${outputType(field.type)} }`;
}

/** A field that may be null may also be left out. */
function inputField(field: InputValueDefinitionNode): string {
  const required = field.type.kind === Kind.NON_NULL_TYPE && field.defaultValue === undefined;
  return `${field.name.value}${required ? "" : "?"}: ${outputType(field.type)}`;
}

function outputType(type: TypeNode): string {
  if (type.kind === Kind.NON_NULL_TYPE) return bareType(type.type);
  const bare = bareType(type);
  return bare === "unknown" ? bare : `${bare} | null`;
}

function bareType(type: TypeNode): string {
  if (type.kind === Kind.NON_NULL_TYPE) return bareType(type.type);
  if (type.kind === Kind.LIST_TYPE) {
    const item = outputType(type.type);
    return item.includes(" ") ? `(${item})[]` : `${item}[]`;
  }
  return SCALARS[type.name.value] ?? pascal(type.name.value);
}

function pascal(name: string): string {
  return name.replaceAll(/(?:^|_)([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

function doc(text: StringValueNode | undefined, indent = "", directives: readonly ConstDirectiveNode[] = []): string {
  const gone = directives.some((each) => each.name.value === "deprecated") ? ["@deprecated"] : [];
  const lines = [...(text === undefined ? [] : [text.value]), ...gone];
  return lines.length === 0 ? "" : `${indent}/** ${lines.join(" ")} */\n`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  // Run from the repository's root by `npm run generate`.
  writeFileSync("src/client/wire.ts", wireTypes(schemaText));
}
