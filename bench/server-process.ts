import { startServer } from "../src/server/server.js";

/** The Cloud in a process of its own, as users run it; tells its parent where it is. */
const server = await startServer({ database: process.argv[2]!, port: 0 });
process.send?.({ url: server.url, token: server.token });
process.on("disconnect", () => void server.close().then(() => process.exit(0)));
