import { type AddressInfo, connect, createServer, type Socket } from "node:net";

/** What the proxy does to one exchange. */
export interface Fault {
  /**
   * "flip": one bit of the byte at `after` is turned. "cut": the connection is dropped at that byte. "hang": nothing goes
   * on from that byte, and the connection stays open.
   */
  readonly kind: "flip" | "cut" | "hang";
  /** "up": what the client sends. "down": what the server answers. */
  readonly direction: "up" | "down";
  /** Counted from the first byte of the request, or of the answer, headers included. Default 0. */
  readonly after?: number;
  /** How many exchanges it meets. Default: all. */
  readonly times?: number;
}

/** A TCP proxy that stands before a server and does to the bytes what bad networks do. */
export interface FaultProxy {
  readonly url: string;
  fault: Fault | undefined;
  /** How many exchanges the fault at hand has met. */
  met: number;
  close(): Promise<void>;
}

export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const target = connect(targetPort, "127.0.0.1");
    for (const socket of [client, target]) {
      sockets.add(socket);
      socket.on("close", () => sockets.delete(socket));
      socket.on("error", () => {});
    }
    client.on("close", () => target.destroy());
    target.on("close", () => client.destroy());
    // Data of the other direction begins a new request or answer.
    const counts = { up: 0, down: 0 };
    client.on("data", (chunk: Buffer) => {
      counts.down = 0;
      pass("up", chunk, target);
    });
    target.on("data", (chunk: Buffer) => {
      // "100 Continue" is no answer yet.
      if (!chunk.subarray(0, 12).toString().startsWith("HTTP/1.1 100")) counts.up = 0;
      pass("down", chunk, client);
    });
    let hangs = false;
    const pass = (direction: Fault["direction"], chunk: Buffer, to: Socket): void => {
      if (hangs) return;
      const { fault } = proxy;
      const start = counts[direction];
      counts[direction] += chunk.length;
      const at = (fault?.after ?? 0) - start;
      const meets =
        fault?.direction === direction && at >= 0 && at < chunk.length && proxy.met < (fault.times ?? Infinity);
      if (!fault || !meets) return void to.write(chunk);
      proxy.met += 1;
      if (fault.kind === "flip") {
        const changed = Buffer.from(chunk);
        changed[at]! ^= 1;
        return void to.write(changed);
      }
      if (at > 0) to.write(chunk.subarray(0, at));
      if (fault.kind === "hang") hangs = true;
      else to.end(() => client.destroy());
    };
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy: FaultProxy = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    fault: undefined,
    met: 0,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return proxy;
}
