import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import {
  type ArgumentNode,
  type FieldNode,
  type OperationDefinitionNode,
  parse,
  print,
  type SelectionSetNode,
  type ValueNode,
  visit,
} from "graphql";
import { repositoryFolder } from "./source-tree.js";

/*
 * Requests as Prefect 1.4.1 forms them, in fixtures/protocol: one file a scenario, one request a line. fixtures/protocol/README.md
 * says how to read a line.
 */

export const protocolFolder = join(repositoryFolder, "fixtures", "protocol");

export interface RecordedRequest {
  query: string;
  /** JSON text, as it stands in the body. */
  variables: string;
  headers?: Record<string, string>;
  /** Values of the answer to keep, by name: the path to each. */
  save?: Record<string, string>;
  /** What the answer must hold at a path. */
  check?: Record<string, unknown>;
  /** The request must be refused, in this way. */
  error?: { status?: number; code?: string; message?: string; exactly?: boolean; path?: unknown };
  /** What the shape needs is not asked of this answer. */
  missing?: boolean;
}

export interface Scenario {
  name: string;
  requests: RecordedRequest[];
}

export function readScenarios(): Scenario[] {
  const files = readdirSync(protocolFolder).filter((name) => name.endsWith(".jsonl"));
  return files.sort().map((file) => ({
    name: file.replace(".jsonl", ""),
    requests: readFileSync(join(protocolFolder, file), "utf8")
      .split("\n")
      .filter((line) => line !== "")
      .map((line) => JSON.parse(line) as RecordedRequest),
  }));
}

export function readProtocolJson<Value>(file: string): Value {
  return JSON.parse(readFileSync(join(protocolFolder, file), "utf8")) as Value;
}

function operationOf(query: string): OperationDefinitionNode {
  return parse(query).definitions[0] as OperationDefinitionNode;
}

/** What an operation asks for, however its fields are ordered and whatever its values are: `query {tenant(where){id slug}}`. */
export function shapeOf(query: string): string {
  const operation = operationOf(query);
  const variables = (operation.variableDefinitions ?? []).map((each) => print(each.type)).join(" ");
  return [operation.operation, variables, selectionShape(operation.selectionSet)]
    .filter((part) => part !== "")
    .join(" ");
}

function selectionShape({ selections }: SelectionSetNode): string {
  const fields = selections.map((selection) => {
    const { name, arguments: args = [], selectionSet } = selection as FieldNode;
    const names = args.map((each) => each.name.value).sort();
    return `${name.value}${names.length > 0 ? `(${names.join()})` : ""}${selectionSet ? selectionShape(selectionSet) : ""}`;
  });
  return `{${fields.sort().join(" ")}}`;
}

/** The forms of the arguments of a query: `_eq null flow:project.name`, `order_by {name: asc, version: desc} flow`, `_and list flow_run.logs`. */
export function argumentForms(query: string): string[] {
  const operation = operationOf(query);
  return operation.operation === "query" ? formsBelow(operation.selectionSet, []) : [];
}

function formsBelow({ selections }: SelectionSetNode, path: readonly string[]): string[] {
  return selections.flatMap((selection) => {
    const { name, arguments: args = [], selectionSet } = selection as FieldNode;
    const here = [...path, name.value];
    return [
      ...args.flatMap((each) => formOf(each, here.join("."))),
      ...(selectionSet ? formsBelow(selectionSet, here) : []),
    ];
  });
}

function formOf({ name, value }: ArgumentNode, place: string): string[] {
  if (name.value === "where") return filterForms(value, place, []);
  if (name.value === "order_by") return [`order_by ${print(value).replaceAll(/\s+/g, " ")} ${place}`];
  if (name.value === "limit") return [`limit ${print(value)} ${place}`];
  return [
    `${name.value} ${value.kind === "NullValue" ? "null" : value.kind === "EnumValue" ? "name" : "value"} ${place}`,
  ];
}

function filterForms(value: ValueNode, place: string, path: readonly string[]): string[] {
  if (value.kind !== "ObjectValue") return [];
  if (value.fields.length === 0) return [`{} ${place}`];
  return value.fields.flatMap((field) => {
    const word = field.name.value;
    const inner = field.value;
    if (word === "_and" || word === "_or") {
      const parts = inner.kind === "ListValue" ? inner.values : [inner];
      return [
        `${word} ${inner.kind === "ListValue" ? "list" : "object"} ${place}`,
        ...parts.flatMap((part) => filterForms(part, place, path)),
      ];
    }
    if (!word.startsWith("_")) return filterForms(inner, place, [...path, word]);
    return [
      `${word} ${inner.kind === "NullValue" ? "null" : inner.kind === "Variable" ? "variable" : "literal"} ${place}:${path.join(".")}`,
    ];
  });
}

/** The same query with its fields in another order: a Python client's order changes with each of its processes. */
export function shuffled(query: string, random: () => number): string {
  const document = visit(parse(query), {
    SelectionSet: {
      leave: (node) => ({
        ...node,
        selections: node.selections
          .map((selection) => ({ selection, at: random() }))
          .sort((a, b) => a.at - b.at)
          .map(({ selection }) => selection),
      }),
    },
  });
  return print(document);
}
