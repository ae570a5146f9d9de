#!/usr/bin/env node
// In the JavaScript of old: this file must still be read by a Node that is far too old, to say so in one line.
// biome-ignore-all lint/style/useNodejsImportProtocol: an old Node does not know it.
// biome-ignore-all lint/style/useTemplate: nor this.
// biome-ignore-all lint/complexity/useOptionalChain: nor this.
"use strict";

var path = require("path");
var fs = require("fs");

var WANTED = [22, 13];
/** Set for the Node that this file starts itself with. */
var PINNED = "MILLRACE_PINNED_NODE";

function isNewEnough(version) {
  var parts = version.split(".").map(Number);
  return parts[0] > WANTED[0] || (parts[0] === WANTED[0] && parts[1] >= WANTED[1]);
}

// In Millrace's own repository a newer Node stands among its packages.
function pinnedNode() {
  var file = path.join(__dirname, "..", "node_modules", "node", "bin", "node");
  // Once is enough: a Node that still finds itself too old behind it would start another one for ever.
  if (process.env[PINNED] || !fs.existsSync(file)) return null;
  return fs.realpathSync(file) === fs.realpathSync(process.execPath) ? null : file;
}

function runUnder(node) {
  var child = require("child_process").spawn(node, process.execArgv.concat(process.argv.slice(1)), {
    stdio: "inherit",
    env: Object.assign({}, process.env, { [PINNED]: "1" }),
  });
  ["SIGINT", "SIGTERM", "SIGHUP"].forEach((signal) => {
    process.on(signal, () => {
      // A terminal has sent Ctrl-C to the child as well; a signal sent to this process alone has to be passed on.
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  });
  child.on("error", (error) => {
    process.stderr.write("millrace: " + node + " could not be started: " + error.message + "\n");
    process.exit(2);
  });
  child.on("exit", (code, signal) => {
    if (signal === null) process.exit(code);
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  });
}

// Node 22 says at every start that its SQLite is experimental: nothing that a user can act on, and no line of ours.
function keepQuietAboutSqlite() {
  var emitWarning = process.emitWarning;
  process.emitWarning = (warning, options, code, from) => {
    if (!/^SQLite is an experimental feature/.test(String(warning))) emitWarning(warning, options, code, from);
  };
}

if (isNewEnough(process.versions.node)) {
  delete process.env[PINNED];
  keepQuietAboutSqlite();
  import("../dist/src/cli/main.js").catch((error) => {
    process.stderr.write("millrace: " + (error && error.stack ? error.stack : error) + "\n");
    process.exit(2);
  });
} else if (pinnedNode() !== null) {
  runUnder(pinnedNode());
} else {
  process.stderr.write(
    "millrace needs Node.js " +
      WANTED.join(".") +
      " or newer; this is " +
      process.versions.node +
      " (" +
      process.execPath +
      ").\n",
  );
  process.exit(1);
}
