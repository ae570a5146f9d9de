/** Started by `startServerProcess`: a Cloud on the database and port that were asked for. */
import { startServer } from "../../src/server/server.js";

const { database, port } = JSON.parse(process.argv[2]!) as { database: string; port: number };
const server = await startServer({ database, port, tickMs: 200 });
process.send?.({ url: server.url, port: server.port, token: server.token });
