import { startServer } from "../../src/server/server.js";

/** A Cloud in a process of its own, to be killed; its parent is told where it is. */
const server = await startServer({ database: process.argv[2]!, port: 0 });
process.send?.({ url: server.url, token: server.token });
process.on("disconnect", () => void server.close().then(() => process.exit(0)));
