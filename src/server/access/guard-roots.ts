import { type GraphQLFieldResolver, type GraphQLObjectType, type GraphQLSchema, isObjectType } from "graphql";
import { MillraceError } from "../../core/errors.js";
import { tableInfo } from "../../db/read/describe-tables.js";
import type { RequestContext } from "../parts.js";
import { aggregateName, byKeyName } from "../read/read-schema.js";
import {
  mutationPermissions,
  queryPermissions,
  readFunctionPermissions,
  readPermissions,
  type Scope,
  scopeMeanings,
  subscriptionPermissions,
} from "./permissions.js";

/** The scopes of every root field, by `Query.hello` and so on. */
export const rootPermissions: ReadonlyMap<string, readonly Scope[]> = new Map([
  ...namesOf("Mutation", mutationPermissions),
  ...namesOf("Query", queryPermissions),
  ...namesOf("Query", readFunctionPermissions),
  ...namesOf("Subscription", subscriptionPermissions),
  ...[...tableInfo.values()].flatMap(({ name, table }) =>
    [name, aggregateName(name), byKeyName(name)].map((root) => [`Query.${root}`, readPermissions[table]] as const),
  ),
]);

function namesOf(type: string, permissions: Readonly<Record<string, readonly Scope[]>>) {
  return Object.entries(permissions).map(([name, scopes]) => [`${type}.${name}`, scopes] as const);
}

/**
 * Puts the check of the caller's scope before every resolver of a root field: a document reaches none but through these,
 * whatever its aliases and fragments. @throws INTERNAL for a root without a line in permissions.ts
 */
export function guardRoots(schema: GraphQLSchema): GraphQLSchema {
  for (const type of [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()]) {
    if (isObjectType(type)) guardType(type);
  }
  return schema;
}

type Resolver = GraphQLFieldResolver<unknown, RequestContext>;

function guardType(type: GraphQLObjectType): void {
  for (const field of Object.values(type.getFields())) {
    const name = `${type.name}.${field.name}`;
    const scopes = rootPermissions.get(name);
    if (!scopes) throw new MillraceError("INTERNAL", `${name} has no line in src/server/access/permissions.ts.`);
    const guarded = (resolver: Resolver): Resolver => {
      return (root, args, context, info) => {
        if (!(scopes as readonly string[]).includes(context.caller.scope)) throw forbidden(context, field.name, scopes);
        return resolver(root, args, context, info);
      };
    };
    // Of a subscription, what opens it: its `resolve` sees what was let through.
    if (field.subscribe) field.subscribe = guarded(field.subscribe as Resolver);
    else if (field.resolve) field.resolve = guarded(field.resolve as Resolver);
    else throw new MillraceError("INTERNAL", `${name} has no resolver.`);
  }
}

function forbidden({ caller }: RequestContext, name: string, scopes: readonly Scope[]): MillraceError {
  // Of what people and agents may both do, a person asks: a token for that reads no secrets.
  const enough = scopes.find((scope) => scope !== "USER") ?? "USER";
  return new MillraceError(
    "FORBIDDEN",
    `\`${name}\` needs a token of scope ${scopes.join(" or ")}, and this one's is ${caller.scope}.`,
    {
      hint: `Scope ${enough}: ${scopeMeanings[enough]}. Make one with \`millrace auth create-token --scope ${enough}\`.`,
    },
  );
}
