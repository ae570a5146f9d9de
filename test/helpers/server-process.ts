/** Started by `startServerProcess`: a Cloud on the database and port that were asked for, under a clock that can be stepped. */
import { startServer } from "../../src/server/server.js";

const { database, port } = JSON.parse(process.argv[2]!) as { database: string; port: number };
let steppedMs = 0;
const clock = { now: () => Date.now() + steppedMs, elapsed: () => performance.now() };
const server = await startServer({ database, port, tickMs: 200, clock });
process.on("message", (ms: number) => {
  steppedMs += ms;
  process.send?.("stepped");
});
process.send?.({ url: server.url, port: server.port, token: server.token });
