import { MillraceError } from "../../core/errors.js";

/** The kinds of hooks, as Prefect's Cloud has them. */
export const hookTypes = ["WEBHOOK", "SLACK_WEBHOOK", "TWILIO", "PAGERDUTY", "PREFECT_MESSAGE"] as const;
export type HookType = (typeof hookTypes)[number];

const SEVERITIES = ["info", "warning", "error", "critical"];
/** Each of them is one request, and all must be over before the delivery is due again. */
export const MAX_RECIPIENTS = 10;
const MAX_FIELD_CHARS = 2_000;

/** What a hook sends to, and with which credentials; kept sealed. */
export interface HookConfig {
  url?: string;
  account_sid?: string;
  auth_token?: string;
  messaging_service_sid?: string;
  to?: string[];
  api_token?: string;
  routing_key?: string;
  severity?: string;
  /** Of a WEBHOOK: what its requests are signed with. */
  signing_secret?: string;
}
type Field = Exclude<keyof HookConfig, "signing_secret">;

const fields: Record<HookType, readonly Field[]> = {
  WEBHOOK: ["url"],
  SLACK_WEBHOOK: ["url"],
  TWILIO: ["account_sid", "auth_token", "messaging_service_sid", "to"],
  PAGERDUTY: ["api_token", "routing_key", "severity"],
  PREFECT_MESSAGE: [],
};

export function isHookType(type: string): type is HookType {
  return (hookTypes as readonly string[]).includes(type);
}

/** Checks what a hook of this type needs. Messages name fields and never what stands in them. @throws INPUT_INVALID */
export function readHookConfig(type: HookType, given: unknown): HookConfig {
  const config = given ?? {};
  if (typeof config !== "object" || Array.isArray(config)) throw refuse(type, "is not a JSON object");
  const wanted = fields[type];
  const strange = Object.keys(config).find((name) => !(wanted as readonly string[]).includes(name));
  if (strange !== undefined) throw refuse(type, `has the field "${strange.slice(0, 40)}"`);
  const read: HookConfig = {};
  for (const field of wanted) {
    const value = (config as Record<string, unknown>)[field];
    if (field === "to") read.to = recipients(type, value);
    else if (typeof value === "string" && value !== "" && value.length <= MAX_FIELD_CHARS) read[field] = value;
    else throw refuse(type, `has no text in \`${field}\``);
  }
  if (read.severity !== undefined && !SEVERITIES.includes(read.severity)) {
    throw refuse(type, `has a severity that is none of ${SEVERITIES.join(", ")}`);
  }
  if (read.url !== undefined) checkUrl(type, read.url);
  return read;
}

function recipients(type: HookType, value: unknown): string[] {
  const list = typeof value === "string" ? [value] : value;
  const fits = Array.isArray(list) && list.length >= 1 && list.length <= MAX_RECIPIENTS;
  if (fits && list.every((each) => typeof each === "string" && /^[+\w:-]{1,100}$/.test(each))) return list as string[];
  throw refuse(type, `has no list of 1 to ${MAX_RECIPIENTS} numbers in \`to\``);
}

function checkUrl(type: HookType, text: string): void {
  const url = URL.parse(text);
  if (!url || !["http:", "https:"].includes(url.protocol)) throw refuse(type, "has a `url` that is no http address");
  // It would stand in logs on its way; a receiver knows the sender by the signature.
  if (url.username || url.password) throw refuse(type, "has a user name or a password in its `url`");
}

function refuse(type: HookType, what: string): MillraceError {
  const wanted = fields[type].map((field) => `\`${field}\``).join(", ");
  return new MillraceError("INPUT_INVALID", `create_cloud_hook: the config of a ${type} ${what}.`, {
    hint: wanted === "" ? "It has no fields." : `It has the fields ${wanted}.`,
  });
}

const SHOWN_CHARS = 4;
const secretFields: readonly Field[] = ["auth_token", "api_token", "routing_key"];

/** The config as it may be read again: of each credential its last characters, and of an address its host. */
export function maskHookConfig(config: HookConfig): Record<string, unknown> {
  const { signing_secret: _, ...shown } = config;
  const masked: Record<string, unknown> = { ...shown };
  for (const field of secretFields) if (shown[field] !== undefined) masked[field] = ending(String(shown[field]));
  // The path is the credential of many services, Slack among them.
  if (shown.url !== undefined) masked.url = maskUrl(shown.url);
  return masked;
}

/** A short one shows nothing: the rest could be tried out. */
function ending(text: string): string {
  return `…${text.length >= 4 * SHOWN_CHARS ? text.slice(-SHOWN_CHARS) : ""}`;
}

function maskUrl(text: string): string {
  const url = new URL(text);
  const rest = url.pathname + url.search + url.hash;
  return rest === "/" ? url.origin : `${url.origin}/${ending(rest)}`;
}
