import type { Command } from "commander";
import { deleteKeyValue, findKeyValue, listKeyValues, setKeyValue } from "../../client/settings.js";
import { MillraceError } from "../../core/errors.js";
import { type Context, group, type Host, withCloud, withShared } from "../command.js";
import { type Column, table } from "../print.js";
import { printable } from "../text.js";

const EXAMPLE = "millrace kv set rates/eur 1.08";

export function addKeyValueCommands(program: Command, host: Host): void {
  const kv = group(
    program,
    "kv",
    "small values that the Cloud keeps under keys, for everybody who may read it",
    EXAMPLE,
  );
  withShared(
    kv
      .command("set")
      .description("keep a value, in place of what was under that key")
      .argument("<key>", "its key")
      .argument("<value>", "JSON, or text where it is no JSON"),
    EXAMPLE,
  ).action(host.action(set));
  withShared(
    kv.command("get").description("print a value").argument("<key>", "its key"),
    "millrace kv get rates/eur",
  ).action(host.action(get));
  withShared(kv.command("list").description("all keys and values"), "millrace kv list").action(host.action(list));
  withShared(
    kv.command("delete").description("forget a key and its value").argument("<key>", "its key"),
    "millrace kv delete rates/eur",
  ).action(host.action(remove));
}

async function set(context: Context, _options: unknown, key: string, text: string): Promise<void> {
  const value = fromText(text);
  const id = await withCloud(context, (cloud) => setKeyValue(cloud, key, value));
  context.say(`${printable(key)} is ${printable(JSON.stringify(value))}.`);
  context.answer({ id, key, value });
}

function fromText(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

async function get(context: Context, _options: unknown, key: string): Promise<void> {
  const found = await withCloud(context, (cloud) => findKeyValue(cloud, key));
  if (!found) {
    throw new MillraceError("KEY_VALUE_NOT_FOUND", `There is no value under the key "${key}".`, {
      hint: "`millrace kv list` shows what there is.",
    });
  }
  context.say(printable(JSON.stringify(found.value)));
  context.answer(found);
}

async function list(context: Context): Promise<void> {
  const rows = await withCloud(context, listKeyValues);
  const columns: Column<(typeof rows)[number]>[] = [
    { title: "Key", text: ({ key }) => key },
    { title: "Value", text: ({ value }) => JSON.stringify(value) },
  ];
  context.say(rows.length === 0 ? `There are none. \`${EXAMPLE}\` keeps one.` : table(columns, rows, context.stdout));
  context.answer(rows);
}

async function remove(context: Context, _options: unknown, key: string): Promise<void> {
  const deleted = await withCloud(context, (cloud) => deleteKeyValue(cloud, key));
  context.say(deleted ? `${printable(key)} is forgotten.` : `There was nothing under ${printable(key)}.`);
  context.answer({ key, deleted });
}
