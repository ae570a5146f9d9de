import type { ServerResponse } from "node:http";

/** The last words of a server that stops: another may have taken its place when the client comes again. */
const COME_AGAIN = ": the server is stopping; subscribe again\nretry: 1000\n\n";

/**
 * Writes events as they come, until they end or the client is gone.
 * @param isStopping Does the server stop? Then the client is told to come again.
 */
export async function writeEvents(
  events: AsyncGenerator<string, void, undefined>,
  response: ServerResponse,
  isStopping: () => boolean,
): Promise<void> {
  const gone = () => void events.return(undefined);
  response.once("close", gone);
  response.flushHeaders();
  for await (const event of events) {
    if (!response.writable) break;
    if (!response.write(event)) {
      await roomFor(response);
    }
  }
  response.off("close", gone);
  response.end(isStopping() ? COME_AGAIN : undefined);
}

/** Until the client has taken what was written, or is gone. Nothing stays listening: a stream may go on for weeks. */
function roomFor(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.once("drain", done);
    response.once("close", done);
  });
}
