export type { ServerClock, ServerLogLine } from "./parts.js";
export { DEFAULT_PORT, type Server, type ServerOptions, startServer } from "./server.js";
