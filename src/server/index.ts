export type { ServerClock, ServerLogLine } from "./parts.js";
export { DEFAULT_PORT, type Server, type ServerOptions, startServer } from "./server.js";
export type { ServiceStatus } from "./services/service-runner.js";
export type { ServiceOptions } from "./services/services.js";
