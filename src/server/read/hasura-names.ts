import { type DocumentNode, Kind, type TypeNode, visit } from "graphql";

/** What Hasura calls our scalars: those who wrote queries for Prefect's server declare their variables so. */
const ourNames: Readonly<Record<string, string>> = {
  uuid: "UUID",
  timestamptz: "DateTime",
  jsonb: "JSON",
  json: "JSON",
};
const declaresOne = /\$\w+\s*:\s*\[?\s*(?:uuid|timestamptz|jsonb|json)\b/;

/** The document with Hasura's names for the types of variables in our words; nearly always it is the same document. */
export function withOurTypeNames(document: DocumentNode, text: string): DocumentNode {
  if (!declaresOne.test(text)) return document;
  return visit(document, {
    // Below it there are no variable's types, and as many fields as a caller likes.
    SelectionSet: () => false,
    NamedType: (node): TypeNode | undefined => {
      const name = Object.hasOwn(ourNames, node.name.value) ? ourNames[node.name.value] : undefined;
      return name === undefined ? undefined : { ...node, name: { kind: Kind.NAME, value: name } };
    },
  });
}
