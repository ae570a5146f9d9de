import { existsSync, statSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import t from "tap";
import { writeCertificate } from "../helpers/certificates.js";
import { startCloudProcess } from "../helpers/cloud-process.js";
import { millrace } from "../helpers/command-line.js";
import { eventually } from "../helpers/eventually.js";
import { needsSqlite } from "../helpers/test-database.js";

t.test("a running Cloud's database is backed up by a command, and the copy starts", needsSqlite, async (t) => {
  const home = t.testdir();
  await startCloudProcess(t, home);
  await millrace(["create", "project", "Kept"], { home });
  const file = join(home, "copy.db");
  const made = await millrace(["server", "backup", file, "--json"], { home });
  t.match(made, { code: 0 });
  t.match(JSON.parse(made.stdout), { file, bytes: statSync(file).size });
  t.equal(statSync(file).mode & 0o777, 0o600);
  const postgres = await millrace(["server", "backup", file, "--database", "postgres://localhost/x"], { home });
  t.match(postgres, { code: 1, stderr: /pg_dump/ });
  const none = await millrace(["server", "backup", file, "--database", "none.db"], { home });
  t.match(none, { code: 1, stderr: /^DATABASE_FAILED.*no such file/ });
  t.notOk(existsSync(join(home, "none.db")), "and it makes none");
});

t.test(
  "with TLS a command reaches the Cloud when it is told what to trust, and SIGHUP reads the certificate anew",
  async (t) => {
    const home = t.testdir();
    const { certFile, keyFile } = writeCertificate(home, 0);
    const tls = ["--tls-cert", certFile, "--tls-key", keyFile];
    const { url, running } = await startCloudProcess(t, home, tls);
    t.match(url, /^https:/);
    const untrusting = await millrace(["auth", "status"], { home });
    t.match(untrusting, { code: 1, stderr: /SELF_SIGNED|self-signed/i });
    const env = { NODE_EXTRA_CA_CERTS: certFile };
    t.match(await millrace(["auth", "status"], { home, env }), { code: 0, stdout: /scope USER/ });
    running.child.kill("SIGHUP");
    await eventually(() => running.stderr().includes("read anew"), { message: "the certificate is read anew" });
    t.match(await millrace(["auth", "status"], { home, env }), { code: 0 });
    t.match(await millrace(["server", "start", "--tls-cert", certFile], { home }), {
      code: 1,
      stderr: /belong together/,
    });
  },
);

t.test("the log is written as JSON lines when it is asked for", async (t) => {
  const home = t.testdir();
  t.match(await millrace(["server", "start", "--log-format", "xml"], { home }), { code: 1, stderr: /--log-format/ });
  const { running } = await startCloudProcess(t, home, ["--log-format", "json"]);
  const ended = await running.stop("SIGTERM");
  t.equal(ended.code, 0);
});

t.test("a first SIGTERM lets the Cloud drain, a second one ends it at once", async (t) => {
  const { running, url } = await startCloudProcess(t, t.testdir(), ["--drain", "600"]);
  const { port } = new URL(url);
  running.child.kill("SIGTERM");
  await eventually(async () => (await fetch(`${url}/ready`)).status === 503, { message: "it says that it stops" });
  t.equal((await fetch(`${url}/health`)).status, 200);
  const half = connect(Number(port), "127.0.0.1");
  half.on("error", () => {});
  half.write("POST / HTTP/1.1\r\nhost: localhost\r\n");
  const ended = await running.stop("SIGTERM");
  t.equal(ended.code, 0);
  t.match(ended.stderr, /Ask again to stop at once/);
});
