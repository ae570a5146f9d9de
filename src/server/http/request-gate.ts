import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import { isIP } from "node:net";
import { MillraceError } from "../../core/errors.js";

/** Under which names the Cloud answers, and to the pages of which sites. */
export interface GateOptions {
  /** The host that the server was bound to. */
  host: string;
  /** Further names, for instance the one that a proxy asks under. */
  allowHosts?: readonly string[];
  /** Origins, as `https://dash.example.com`, whose pages may call the API. */
  allowOrigins?: readonly string[];
}

/** What is wrong with a request before anybody has looked who asks, and what a page's browser is told. */
export interface GateAnswer {
  refusal?: { status: number; error: MillraceError };
  /** The headers by which a browser lets a page of another, allowed origin have the answer. */
  headers?: Record<string, string>;
}

const LET_THROUGH: GateAnswer = {};
/** How long a browser may remember the answer to a preflight, in seconds: the least of what browsers cap it at. */
const PREFLIGHT_KEPT_S = "600";
const PREFLIGHT_HEADERS: Readonly<Record<string, string>> = {
  "access-control-allow-methods": "GET, POST",
  "access-control-allow-headers":
    "authorization, content-type, x-prefect-agent-id, x-prefect-core-version, x-prefect-tenant-id",
  "access-control-max-age": PREFLIGHT_KEPT_S,
};

/**
 * Looks at the Host and Origin headers of every request. A page that a browser got from elsewhere must not reach a Cloud on
 * this machine: not by a name of its own that it lets point here (DNS rebinding), and not across origins.
 */
export class RequestGate {
  readonly #hosts: ReadonlySet<string>;
  readonly #origins: ReadonlySet<string>;

  /** @throws INPUT_INVALID for an origin that is none */
  constructor({ host, allowHosts = [], allowOrigins = [] }: GateOptions) {
    this.#hosts = new Set(["localhost", host, ...allowHosts].map((each) => each.toLowerCase()));
    this.#origins = new Set(allowOrigins.map(checkOrigin));
  }

  check({ headers }: Pick<IncomingMessage, "headers">): GateAnswer {
    if (!this.#knows(headers.host)) return { refusal: { status: 403, error: hostNotAllowed(headers.host) } };
    const { origin } = headers;
    if (origin === undefined || isSameOrigin(origin, headers)) return LET_THROUGH;
    if (!this.#origins.has(origin)) return { refusal: { status: 403, error: originNotAllowed(origin) } };
    return { headers: { "access-control-allow-origin": origin, vary: "Origin" } };
  }

  /** What a browser that asks beforehand is told, beside the headers of {@link check}. */
  preflightHeaders(): Readonly<Record<string, string>> {
    return PREFLIGHT_HEADERS;
  }

  /** An address is no name that somebody could let point elsewhere: rebinding needs a name. */
  #knows(host: string | undefined): boolean {
    const name = nameOf(host ?? "");
    if (name === undefined) return false;
    return this.#hosts.has(name) || name.endsWith(".localhost") || isIP(name) !== 0;
  }
}

/** `Example.org:4200` to `example.org`, `[::1]:4200` to `::1`; undefined for what is no host. */
function nameOf(host: string): string | undefined {
  const [, bracketed, plain] = /^(?:\[([\da-f:.]+)\]|([a-z\d._-]+))(?::\d{1,5})?$/i.exec(host) ?? [];
  return (bracketed ?? plain)?.toLowerCase().replace(/\.$/, "");
}

/** A page that came from here; behind a proxy that speaks TLS the schemes differ. */
function isSameOrigin(origin: string, { host }: IncomingHttpHeaders): boolean {
  return host !== undefined && (origin === `http://${host}` || origin === `https://${host}`);
}

function checkOrigin(text: string): string {
  const origin = URL.canParse(text) ? new URL(text).origin : "null";
  if (origin !== "null" && (origin === text || `${origin}/` === text)) return origin;
  throw new MillraceError("INPUT_INVALID", `"${text}" is not an origin that could be allowed.`, {
    hint: "Give scheme, host and port of the site, for instance https://dash.example.com.",
  });
}

function hostNotAllowed(host: string | undefined): MillraceError {
  return new MillraceError("HOST_NOT_ALLOWED", `The Cloud does not answer under the name "${shown(host)}".`, {
    hint: "If the name is yours, start the Cloud with `--allow-host <name>`.",
  });
}

function originNotAllowed(origin: string): MillraceError {
  return new MillraceError("ORIGIN_NOT_ALLOWED", `Pages of "${shown(origin)}" may not call this Cloud.`, {
    hint: "If the site is yours, start the Cloud with `--allow-origin <origin>`.",
  });
}

const shown = (text = ""): string => text.slice(0, 100);
