import type { HookEventRow } from "../../db/queries/cloud-hooks.js";
import type { HookConfig, HookType } from "./hook-config.js";
import type { HookRequest } from "./send-request.js";
import { signatureHeaders } from "./signature.js";

/** What a hook tells: that a flow run entered a state. In the words of Prefect's Cloud, so that its receivers understand. */
export interface HookEvent {
  /** The same each time that it is sent. */
  readonly id: string;
  readonly type: "FlowRunStateChange";
  readonly is_test_event: boolean;
  /** When the state was entered. */
  readonly timestamp: string;
  readonly tenant: { readonly id: string; readonly slug: string };
  readonly flow: { readonly id: string; readonly name: string; readonly version_group_id: string };
  readonly flow_run: { readonly id: string; readonly name: string; readonly version: number };
  readonly state: {
    readonly state: string;
    readonly message: string | null;
    readonly version: number;
    readonly serialized_state: unknown;
  };
}

export function toHookEvent(id: string, row: HookEventRow, isTest = false): HookEvent {
  const { version, message } = row;
  return {
    id,
    type: "FlowRunStateChange",
    is_test_event: isTest,
    timestamp: row.timestamp,
    tenant: { id: row.tenant_id, slug: row.tenant_slug },
    flow: { id: row.flow_id, name: row.flow_name, version_group_id: row.version_group_id },
    flow_run: { id: row.flow_run_id, name: row.flow_run_name, version },
    state: { state: row.state, message, version, serialized_state: JSON.parse(row.serialized_state) as unknown },
  };
}

/** Where the services are. */
export interface HookHosts {
  readonly twilio: string;
  readonly pagerDuty: string;
}
export const publicHosts: HookHosts = {
  twilio: "https://api.twilio.com",
  pagerDuty: "https://events.pagerduty.com",
};

/** The most of a state's message that goes into a text for people; an SMS takes no more than 1,600 in all. */
const MAX_MESSAGE_CHARS = 500;
const JSON_TYPE = { "content-type": "application/json", "user-agent": "millrace" };

/**
 * The requests that tell an event; none for a message in the Cloud itself.
 * @param at When they are sent, milliseconds since 1970.
 */
export function hookRequests(
  type: HookType,
  config: HookConfig,
  event: HookEvent,
  { at, hosts }: { at: number; hosts: HookHosts },
): HookRequest[] {
  switch (type) {
    case "WEBHOOK": {
      const body = JSON.stringify({ event });
      const signed = signatureHeaders(config.signing_secret!, { id: event.id, at, body });
      return [{ url: config.url!, headers: { ...JSON_TYPE, ...signed, "x-prefect-event-id": event.id }, body }];
    }
    case "SLACK_WEBHOOK":
      return [{ url: config.url!, headers: JSON_TYPE, body: JSON.stringify(slackMessage(event)) }];
    case "TWILIO":
      return config.to!.map((to) => twilioMessage(config, to, event, hosts));
    case "PAGERDUTY":
      return [pagerDutyEvent(config, event, hosts)];
    case "PREFECT_MESSAGE":
      return [];
  }
}

/** One line for people. */
export function eventText({ flow, flow_run, state, is_test_event }: HookEvent): string {
  const test = is_test_event ? "Test: " : "";
  return `${test}Run ${flow_run.name} of flow ${flow.name} entered the state ${state.state}.`;
}

function slackMessage(event: HookEvent): object {
  const { flow, flow_run, state } = event;
  const section = (text: string) => ({ type: "section", text: { type: "mrkdwn", text } });
  const test = event.is_test_event ? "Test: run" : "Run";
  return {
    text: eventText(event),
    blocks: [
      section(`${test} ${code(flow_run.name)} of flow ${code(flow.name)} is now *${state.state}*`),
      ...(state.message === null ? [] : [section(escaped(state.message.slice(0, MAX_MESSAGE_CHARS)))]),
      section(`Flow run ${code(flow_run.id)}`),
    ],
  };
}

/** https://docs.slack.dev/messaging/formatting-message-text: the three characters that mean something. */
function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}
const code = (text: string): string => `\`${escaped(text.replaceAll("`", "'"))}\``;

function twilioMessage(config: HookConfig, to: string, event: HookEvent, hosts: HookHosts): HookRequest {
  const { account_sid, auth_token, messaging_service_sid } = config;
  const message = event.state.message?.slice(0, MAX_MESSAGE_CHARS) ?? "";
  const body = `${eventText(event)}${message === "" ? "" : `\n${message}`}`;
  return {
    url: `${hosts.twilio}/2010-04-01/Accounts/${encodeURIComponent(account_sid!)}/Messages.json`,
    headers: {
      "content-type": "application/x-www-form-urlencoded",
      authorization: `Basic ${Buffer.from(`${account_sid}:${auth_token}`).toString("base64")}`,
    },
    body: new URLSearchParams({ To: to, MessagingServiceSid: messaging_service_sid!, Body: body }).toString(),
  };
}

/** https://developer.pagerduty.com/docs/send-alert-event: with `dedup_key`, twice is one incident. */
function pagerDutyEvent(config: HookConfig, event: HookEvent, hosts: HookHosts): HookRequest {
  const { flow, flow_run, state, tenant } = event;
  const body = {
    routing_key: config.routing_key,
    event_action: "trigger",
    dedup_key: event.id,
    payload: {
      summary: eventText(event),
      severity: config.severity,
      source: `millrace/${tenant.slug}`,
      timestamp: event.timestamp,
      component: flow.name,
      group: flow_run.name,
      class: `State->${state.state}`,
      custom_details: {
        flow: flow.name,
        flow_run: flow_run.name,
        flow_run_id: flow_run.id,
        state: state.state,
        state_message: state.message?.slice(0, MAX_MESSAGE_CHARS) ?? "",
      },
    },
  };
  return {
    url: `${hosts.pagerDuty}/v2/enqueue`,
    headers: { ...JSON_TYPE, authorization: `Token token=${config.api_token}` },
    body: JSON.stringify(body),
  };
}
