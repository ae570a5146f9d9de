/** The Cloud in a process of its own, as `millrace server start` runs it; tells its parent where it is. */
process.env.NODE_ENV ??= "production";
const { startServer } = await import("../src/server/server.js");

const server = await startServer({ database: process.argv[2]!, port: 0 });
process.send?.({ url: server.url, token: server.token });
process.on("disconnect", () => void server.close().then(() => process.exit(0)));
