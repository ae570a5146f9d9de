import { writeFileSync } from "node:fs";
import { request } from "node:https";
import { join } from "node:path";
import { connect } from "node:tls";
import t from "tap";
import { startServer } from "../../src/server/server.js";
import { certificates, writeCertificate } from "../helpers/certificates.js";

/** Asks over TLS, trusting one certificate. */
function ask(url: string, token: string, ca: string): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { "content-type": "application/json", authorization: `Bearer ${token}` };
    const asked = request(url, { method: "POST", headers, ca, agent: false }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.once("end", () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.once("error", reject);
    asked.end('{"query":"{ hello }"}');
  });
}

t.test("a server with a certificate speaks TLS, and reads it anew without a stop", async (t) => {
  const folder = t.testdir();
  const server = await startServer({ database: join(folder, "a.db"), port: 0, tls: writeCertificate(folder, 0) });
  t.teardown(() => server.close());
  t.match(server.url, /^https:\/\/127\.0\.0\.1:/);
  const token = server.token!;
  t.match(await ask(server.url, token, certificates[0].cert), { status: 200, text: /hello/ });
  await t.rejects(ask(server.url, token, certificates[1].cert), { code: /SELF_SIGNED/ });
  writeCertificate(folder, 1);
  server.reloadTls();
  t.match(await ask(server.url, token, certificates[1].cert), { status: 200 });
  await t.rejects(ask(server.url, token, certificates[0].cert));
});

t.test("files that cannot be used are TLS_FILES_INVALID: at the start it fails, later the old ones stay", async (t) => {
  const folder = t.testdir({ "no.pem": "nothing" });
  const files = writeCertificate(folder, 0);
  const database = join(folder, "a.db");
  const wrong = [
    { ...files, certFile: join(folder, "none.pem") },
    { ...files, keyFile: join(folder, "no.pem") },
  ];
  for (const tls of wrong) await t.rejects(startServer({ database, port: 0, tls }), { code: "TLS_FILES_INVALID" });
  const server = await startServer({ database, port: 0, tls: files });
  t.teardown(() => server.close());
  t.ok(server.token, "a start that failed did not take the first key with it");
  writeCertificate(folder, 1);
  writeFileSync(files.certFile, certificates[0].cert);
  t.throws(() => server.reloadTls(), { code: "TLS_FILES_INVALID" });
  t.match(await ask(server.url, server.token!, certificates[0].cert), { status: 200 });
});

t.test("no older protocol than TLS 1.2 is spoken", async (t) => {
  const folder = t.testdir();
  const server = await startServer({ database: join(folder, "a.db"), port: 0, tls: writeCertificate(folder, 0) });
  t.teardown(() => server.close());
  const old = new Promise<void>((resolve, reject) => {
    const options = { maxVersion: "TLSv1.1", minVersion: "TLSv1", ca: certificates[0].cert } as const;
    const socket = connect({ host: "127.0.0.1", port: server.port, ...options }, () => resolve());
    socket.once("error", reject);
  });
  await t.rejects(old);
});

t.test("with a certificate the server may be bound where other machines reach it", async (t) => {
  const folder = t.testdir();
  const options = { database: join(folder, "a.db"), port: 0, host: "0.0.0.0" };
  await t.rejects(startServer(options), { code: "ADDRESS_NOT_LOCAL" });
  const server = await startServer({ ...options, tls: writeCertificate(folder, 0) });
  t.teardown(() => server.close());
  const local = `https://127.0.0.1:${server.port}`;
  t.match(await ask(local, server.token!, certificates[0].cert), { status: 200 });
});
