import { MillraceError } from "../../core/errors.js";

/** Where a database is, and how it is used. */
export interface PostgresAddress {
  /** For pg, without the words that are ours. */
  readonly connectionString: string;
  /** The URL without its password, for people. */
  readonly name: string;
  /** Our tables are in a schema of their own, beside whatever else the database has. */
  readonly schema: string;
  /** Connections for transactions and reads; there is one more for messages between servers. */
  readonly poolSize: number;
}

const DEFAULT_SCHEMA = "millrace";
/** As many as pg's own default; Postgres' own limit is 100 for all. */
const DEFAULT_POOL_SIZE = 10;
const MAX_POOL_SIZE = 500;
const OWN_WORDS = /^(schema|pool)=(.*)$/;

/** Is it the URL of a Postgres database? */
export function isPostgresUrl(place: string): boolean {
  return /^postgres(ql)?:\/\//i.test(place);
}

/**
 * A place as it may be shown: a password in it is left out.
 * @example withoutPassword("postgres://me:secret@db/cloud") // "postgres://me@db/cloud"
 */
export function withoutPassword(place: string): string {
  if (!isPostgresUrl(place)) return place;
  return withWords(place.replace(/^(\w+:\/\/[^:/?#@]*):.*@/, "$1@"), (word) => !/^(ssl)?password=/i.test(word));
}

/** The URL with those of its words, `?a=1&b=2`, that are to stay. */
function withWords(url: string, stays: (word: string) => boolean): string {
  const at = url.indexOf("?");
  if (at < 0) return url;
  const words = wordsOf(url).filter(stays);
  return url.slice(0, at) + (words.length === 0 ? "" : `?${words.join("&")}`);
}

function wordsOf(url: string): string[] {
  const at = url.indexOf("?");
  return at < 0 ? [] : url.slice(at + 1).split("&");
}

/**
 * Reads `postgres://user:password@host:port/database?schema=…&pool=…`; all else in it is for pg.
 * @throws DATABASE_FAILED
 */
export function readAddress(url: string, poolSize?: number): PostgresAddress {
  const own = wordsOf(url).map((word) => OWN_WORDS.exec(word));
  const words = new Map(own.flatMap((found) => (found === null ? [] : [[found[1]!, found[2]!] as const])));
  const connectionString = withWords(url, (word) => !OWN_WORDS.test(word));
  const name = withoutPassword(connectionString);
  const schema = words.get("schema") ?? DEFAULT_SCHEMA;
  if (!/^[a-z_][a-z0-9_]{0,62}$/.test(schema) || schema.startsWith("pg_")) {
    throw new MillraceError("DATABASE_FAILED", `"${schema}" cannot be the schema of the database "${name}".`, {
      hint: "Give a name of small letters, digits and _, at most 63, for instance ?schema=millrace.",
    });
  }
  const size = words.has("pool") ? Number(words.get("pool")) : (poolSize ?? DEFAULT_POOL_SIZE);
  if (!Number.isInteger(size) || size < 2 || size > MAX_POOL_SIZE) {
    throw new MillraceError(
      "DATABASE_FAILED",
      `The pool of the database "${name}" cannot have ${words.get("pool") ?? size} connections.`,
      {
        hint: `Give a number from 2 to ${MAX_POOL_SIZE}, for instance ?pool=10.`,
      },
    );
  }
  return { connectionString, name, schema, poolSize: size };
}
