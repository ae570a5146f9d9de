import type { FieldNode, ObjectFieldNode, ValueNode } from "graphql";
import { MillraceError } from "../../core/errors.js";
import type { OrderDirection, OrderKey } from "../../db/read/read-request.js";
import type { SelectionContext } from "./read-selection.js";

/*
 * `order_by: { name: asc, version: desc }` sorts by name first: the order of the keys has a meaning. GraphQL's own coercion
 * of arguments puts them in the order of the schema, so the keys are read from the text of the query, or from the variables
 * as they were sent. Their values have been checked against the schema by then.
 */

/** The sort keys of a list, the first to sort by first. @throws INPUT_INVALID where the order of keys is lost */
export function readOrder(context: SelectionContext, node: FieldNode): OrderKey[] {
  const argument = node.arguments?.find(({ name }) => name.value === "order_by");
  return argument ? fromText(context, argument.value, []) : [];
}

function fromText(context: SelectionContext, value: ValueNode, path: readonly string[]): OrderKey[] {
  switch (value.kind) {
    case "ListValue":
      return value.values.flatMap((one) => fromText(context, one, path));
    case "ObjectValue":
      return value.fields.flatMap((field) => keyFromText(context, field, path));
    case "Variable":
      return fromVariable(context, value.name.value, path);
    default:
      return [];
  }
}

function keyFromText(context: SelectionContext, field: ObjectFieldNode, path: readonly string[]): OrderKey[] {
  const name = field.name.value;
  if (field.value.kind === "EnumValue") return [{ path, column: name, direction: field.value.value as OrderDirection }];
  if (field.value.kind !== "Variable") return fromText(context, field.value, [...path, name]);
  const sent = context.operation.variableValues[field.value.name.value];
  return typeof sent === "string"
    ? [{ path, column: name, direction: sent as OrderDirection }]
    : fromVariable(context, field.value.name.value, [...path, name]);
}

function fromVariable(context: SelectionContext, name: string, path: readonly string[]): OrderKey[] {
  const { sentVariables, operation } = context;
  if (sentVariables && Object.hasOwn(sentVariables, name)) return fromValue(sentVariables[name], path, true);
  const definition = operation.operation.variableDefinitions?.find(({ variable }) => variable.name.value === name);
  if (sentVariables && definition?.defaultValue) return fromText(context, definition.defaultValue, path);
  return fromValue(operation.variableValues[name], path, sentVariables !== undefined);
}

function fromValue(value: unknown, path: readonly string[], inOrder: boolean): OrderKey[] {
  if (Array.isArray(value)) return value.flatMap((one) => fromValue(one, path, inOrder));
  if (typeof value !== "object" || value === null) return [];
  const keys = Object.entries(value);
  if (keys.length > 1 && !inOrder) {
    throw new MillraceError("INPUT_INVALID", "The order of the keys of `order_by` is not known for a variable.", {
      hint: "Send a list of objects with one key each.",
    });
  }
  return keys.flatMap(([name, direction]) =>
    typeof direction === "string"
      ? [{ path, column: name, direction: direction as OrderDirection }]
      : fromValue(direction, [...path, name], inOrder),
  );
}
