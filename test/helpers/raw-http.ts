import { connect, type Socket } from "node:net";

/** An answer as it came over the socket. */
export interface RawAnswer {
  status: number;
  headers: Record<string, string>;
  body: string;
}

/** Sends these bytes on a connection of their own and reads until the server closes it, or `until` is there. */
export function rawHttp(port: number, bytes: string | Buffer, until?: RegExp): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connect(port, "127.0.0.1", () => socket.write(bytes));
    let text = "";
    const done = () => {
      socket.destroy();
      resolve(parse(text));
    };
    socket.setEncoding("utf8");
    socket.on("data", (chunk: string) => {
      text += chunk;
      if (until?.test(text)) done();
    });
    socket.once("error", reject);
    socket.once("close", done);
  });
}

/** A request with these headers whose connection is closed behind its answer. */
export function rawRequest(
  port: number,
  head: string,
  headers: Readonly<Record<string, string>>,
  body = "",
): Promise<RawAnswer> {
  const lines = Object.entries({ host: `127.0.0.1:${port}`, connection: "close", ...headers });
  const length = body === "" ? [] : [["content-length", `${Buffer.byteLength(body)}`] as [string, string]];
  const text = [...lines, ...length].map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return rawHttp(port, `${head} HTTP/1.1\r\n${text}\r\n${body}`);
}

function parse(text: string): RawAnswer {
  const [head = "", ...rest] = text.split("\r\n\r\n");
  const [first = "", ...lines] = head.split("\r\n");
  const headers = lines.map((line) => [
    line.slice(0, line.indexOf(":")).toLowerCase(),
    line.slice(line.indexOf(":") + 1).trim(),
  ]);
  return {
    status: Number(first.split(" ")[1] ?? 0),
    headers: Object.fromEntries(headers),
    body: rest.join("\r\n\r\n"),
  };
}
