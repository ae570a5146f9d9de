import type { IncomingMessage, ServerResponse } from "node:http";
import { version } from "../version.js";

/** What the server tells those who run it: does it live, is it ready. */
export interface Operations {
  /** Answers, if the path is one of theirs. */
  answer(path: string, request: IncomingMessage, response: ServerResponse): Promise<boolean>;
}

export function makeOperations(): Operations {
  return {
    async answer(path, _request, response) {
      if (path !== "/health") return false;
      const text = JSON.stringify({ status: "ok", version });
      response.writeHead(200, { "content-type": "application/json; charset=utf-8" }).end(text);
      return true;
    },
  };
}
